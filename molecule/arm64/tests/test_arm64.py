# SPDX-License-Identifier: MIT
"""What was compiled is of arm64, loads, and reads sinks there as it does elsewhere."""

import pytest

EM_AARCH64 = 183  # of the ELF header, at offset 18
JANUS = "/opt/janus/bin/janus"
USTREAMER = "/usr/bin/ustreamer"
PLUGIN = "/var/cache/ustreamer-build/stage/plugins/libjanus_ustreamer.so"
SOURCE = "/usr/local/src/janus_ustreamer"


@pytest.mark.parametrize("program", [JANUS, USTREAMER, PLUGIN])
def test_programs_are_of_arm64_and_find_their_libraries(host, program):
    machine = host.check_output(
        "od --address-radix=n --format=u2 --skip-bytes=18 --read-bytes=2 %s", program
    )
    assert int(machine) == EM_AARCH64
    assert "not found" not in host.check_output("ldd %s", program)


def test_janus_and_ustreamer_start(host):
    assert "Janus version: 1" in host.run(f"{JANUS} --version").stdout
    assert host.check_output(f"{USTREAMER} --version").startswith("5.")


@pytest.mark.parametrize(
    "tests",
    [
        # They write sinks of all layouts, byte by byte.
        pytest.param("check", id="modules"),
        # A gateway made of stubs around the whole plugin.
        pytest.param("check-plugin", id="plugin"),
    ],
)
def test_the_plugins_own_tests(host, tests):
    """Without AddressSanitizer: under qemu-user its shadow memory takes all that there is."""
    done = host.run(
        f"make -C {SOURCE} {tests} SANITIZE=undefined BUILD=/var/tmp/plugin-tests "
        "JANUS_CFLAGS=-I/opt/janus/include/janus"
    )
    assert done.rc == 0, done.stdout + done.stderr
