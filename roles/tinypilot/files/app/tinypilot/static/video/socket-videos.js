// SPDX-License-Identifier: MIT
// The two transports over a WebSocket. Loaded as one, when a page needs them.

import { canDecodeH264, H264Decoder } from './h264-decoder.js';
import { JpegDecoder } from './jpeg-decoder.js';
import { SocketVideo } from './socket-video.js';

export { canDecodeH264 };

// options: url, canvas, deviceAnswers, as of SocketVideo
export const newH264Video = (options) =>
  new SocketVideo({ ...options, newDecoder: (events) => new H264Decoder(events) });
export const newJpegVideo = (options) =>
  new SocketVideo({ ...options, newDecoder: (events) => new JpegDecoder(events) });
