// SPDX-License-Identifier: MIT
// Stands in the page of the remote screen itself, and asks Janus for the picture while the browser still fetches the
// page's modules. early-socket.js then hands to janus.js what was answered meanwhile.

(() => {
  const PLUGIN = 'janus.plugin.ustreamer';
  const early = { socket: null, heard: [], deliver: null };
  let session = null;

  // As in transport.js and webrtc-video.js; where it can't be known, the page finds out later.
  function isChosen() {
    try {
      return [null, 'webrtc'].includes(localStorage.getItem('picture-transport'));
    } catch {
      return true; // nothing is remembered
    }
  }

  // Takes a browser tens of milliseconds the first time: asked while the WebSocket is being opened.
  function hasH264() {
    const codecs = globalThis.RTCRtpReceiver?.getCapabilities?.('video')?.codecs ?? [];
    return codecs.some(({ mimeType }) => mimeType.toLowerCase() === 'video/h264');
  }

  // Each is named by its own kind: there is one of each.
  const ask = (request) => early.socket.send(JSON.stringify({ ...request, transaction: request.janus }));

  function hear(text) {
    const { janus, transaction, data } = JSON.parse(text);
    if (janus === 'success' && transaction === 'create') {
      session = data.id;
      ask({ janus: 'attach', session_id: session, plugin: PLUGIN });
    }
    if (janus === 'success' && transaction === 'attach') {
      ask({ janus: 'message', session_id: session, handle_id: data.id, body: { request: 'watch' } });
    }
    if (early.deliver) early.deliver(text);
    else early.heard.push(text);
  }

  if (!isChosen() || !globalThis.RTCRtpReceiver) return;
  early.socket = new WebSocket(`wss://${location.host}/janus/ws`, 'janus-protocol');
  if (!hasH264()) {
    early.socket.close();
    return;
  }
  early.socket.addEventListener('open', () => ask({ janus: 'create' }));
  early.socket.addEventListener('message', ({ data }) => hear(data));
  // Whoever leaves before the modules are there leaves nothing behind in Janus.
  addEventListener('pagehide', () => {
    if (early.deliver) return;
    if (session !== null && early.socket.readyState === WebSocket.OPEN) ask({ janus: 'destroy', session_id: session });
    early.socket.close();
  });
  globalThis.earlySignalling = early;
})();
