// Lets hls.js play what is encrypted sample by sample (SAMPLE-AES in fragmented MP4), where players
// get the key itself: the browser decrypts, through Encrypted Media Extensions and their system
// `org.w3.clearkey`, which every browser with the extensions has. Pages without https have no
// extensions, except those of the machine itself.

const SYSTEM = 'org.w3.clearkey';

// Settings of hls.js for it. `Hls` is the library.
export function keySettings(Hls) {
  return {
    emeEnabled: true,
    drmSystems: { [SYSTEM]: { licenseUrl: 'data:,', generateRequest: askForKey } },
    licenseXhrSetup: fetchKey,
    licenseResponseCallback: licenseOf,
    pLoader: playlistLoader(Hls.DefaultConfig.loader),
  };
}

// What a page can say when keys are the trouble. `data` is the error of hls.js.
export function keyWords(data) {
  if (!window.isSecureContext) return 'This video is encrypted, and browsers decrypt on https pages alone.';
  if (data.response?.code) return `The key of this video can't be had (${data.response.code}).`;
  return `This video is encrypted in a way that this page can't play (${data.details}).`;
}

// hls.js decrypts by itself what a playlist gives the plain key for (KEYFORMAT "identity"), which it can
// for MPEG-2 TS and not for fragmented MP4. Under the name of the browser's system it leaves it to the browser.
function playlistLoader(Loader) {
  return class extends Loader {
    load(context, config, callbacks) {
      const onSuccess = (response, ...rest) => {
        if (typeof response.data === 'string') response.data = namingSystem(response.data);
        callbacks.onSuccess(response, ...rest);
      };
      super.load(context, config, { ...callbacks, onSuccess });
    }
  };
}

function namingSystem(playlist) {
  const tags = /^#EXT-X-(?:SESSION-)?KEY:.*METHOD=SAMPLE-AES[,\r\n].*$/gm;
  return playlist.replace(tags, (tag) => tag.replace('KEYFORMAT="identity"', `KEYFORMAT="${SYSTEM}"`));
}

// From the key id that the playlist tells: there is nothing to wait for.
function askForKey(type, data, { decryptdata }) {
  if (!decryptdata.keyId) return { initDataType: type, initData: data };
  const kids = JSON.stringify({ kids: [base64Url(decryptdata.keyId)] });
  return { initDataType: 'keyids', initData: new TextEncoder().encode(kids).buffer };
}

// The key, from where the playlist says that it is.
function fetchKey(xhr, url, { decryptdata }) {
  xhr.open('GET', decryptdata.uri);
}

function licenseOf(xhr, url, { decryptdata }) {
  const k = base64Url(new Uint8Array(xhr.response));
  const keys = [{ kty: 'oct', kid: base64Url(decryptdata.keyId), k }];
  return new TextEncoder().encode(JSON.stringify({ keys, type: 'temporary' }));
}

function base64Url(bytes) {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
