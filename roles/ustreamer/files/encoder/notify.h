// SPDX-License-Identifier: MIT
/* What systemd is told, without its library: a line to a socket. */
#ifndef NOTIFY_H
#define NOTIFY_H

void notify_is_ready(void);

/* The next one may take as long as the unit's WatchdogSec= says, longer on an overloaded machine.
 */
void notify_is_alive(void);

#endif
