// What of msgpack the protocol needs. Extensions: 1 is a device, read as its name; others are left out.

const utf8 = new TextDecoder();
const toUtf8 = new TextEncoder();

export function decode(buffer) {
  const bytes = new Uint8Array(buffer), view = new DataView(buffer);
  let at = 0;
  const step = (size) => { at += size; return at - size; };
  const uint = (size) => {
    if (size === 1) return view.getUint8(step(1));
    if (size === 2) return view.getUint16(step(2));
    if (size === 4) return view.getUint32(step(4));
    return Number(view.getBigUint64(step(8)));
  };
  const int = (size) => {
    if (size === 1) return view.getInt8(step(1));
    if (size === 2) return view.getInt16(step(2));
    if (size === 4) return view.getInt32(step(4));
    return Number(view.getBigInt64(step(8)));
  };
  const raw = (size) => bytes.subarray(step(size), at);
  const text = (size) => utf8.decode(raw(size));
  const list = (size) => Array.from({ length: size }, value);
  const map = (size) => {
    const found = {};
    for (let n = 0; n < size; n++) { const key = value(); found[key] = value(); }
    return found;
  };
  const ext = (size) => {
    const code = int(1), data = raw(size);
    return code === 1 ? utf8.decode(data) : null;
  };
  function value() {
    const head = uint(1);
    if (head < 0x80) return head;
    if (head < 0x90) return map(head & 15);
    if (head < 0xa0) return list(head & 15);
    if (head < 0xc0) return text(head & 31);
    if (head >= 0xe0) return head - 256;
    if (head === 0xc0) return null;
    if (head === 0xc2 || head === 0xc3) return head === 0xc3;
    if (head >= 0xc4 && head <= 0xc6) return raw(uint(1 << (head - 0xc4)));
    if (head >= 0xc7 && head <= 0xc9) return ext(uint(1 << (head - 0xc7)));
    if (head === 0xca) return view.getFloat32(step(4));
    if (head === 0xcb) return view.getFloat64(step(8));
    if (head >= 0xcc && head <= 0xcf) return uint(1 << (head - 0xcc));
    if (head >= 0xd0 && head <= 0xd3) return int(1 << (head - 0xd0));
    if (head >= 0xd4 && head <= 0xd8) return ext(1 << (head - 0xd4));
    if (head >= 0xd9 && head <= 0xdb) return text(uint(1 << (head - 0xd9)));
    if (head === 0xdc || head === 0xdd) return list(uint(head === 0xdc ? 2 : 4));
    if (head === 0xde || head === 0xdf) return map(uint(head === 0xde ? 2 : 4));
    throw new Error(`${head} begins nothing`);
  }
  return value();
}

export function encode(value) {
  const out = [];
  const sized = (size, small, first) => {
    if (small !== null && size < small[1]) out.push(small[0] | size);
    else out.push(first, size >>> 24 & 255, size >>> 16 & 255, size >>> 8 & 255, size & 255);
  };
  function put(each) {
    if (each === null || each === undefined) out.push(0xc0);
    else if (typeof each === "boolean") out.push(each ? 0xc3 : 0xc2);
    else if (Number.isInteger(each) && each >= 0 && each < 2 ** 32) sized(each, [0, 128], 0xce);
    else if (typeof each === "number") {
      const eight = new DataView(new ArrayBuffer(8));
      eight.setFloat64(0, each);
      out.push(0xcb, ...new Uint8Array(eight.buffer));
    } else if (typeof each === "string") {
      const data = toUtf8.encode(each);
      sized(data.length, [0xa0, 32], 0xdb);
      for (const byte of data) out.push(byte);
    } else if (Array.isArray(each)) {
      sized(each.length, [0x90, 16], 0xdd);
      each.forEach(put);
    } else {
      const pairs = Object.entries(each);
      sized(pairs.length, [0x80, 16], 0xdf);
      for (const [key, one] of pairs) { put(key); put(one); }
    }
  }
  put(value);
  return new Uint8Array(out);
}
