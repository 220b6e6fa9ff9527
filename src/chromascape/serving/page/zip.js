// A ZIP archive without compression, which photos do not need (PKWARE's APPNOTE 6.3: 4.3.7, 4.3.12 and 4.3.16).
const LARGEST = 2 ** 32 - 1, MOST = 2 ** 16 - 1; // beyond, another format begins
const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

// The checksum of bytes, or of those and these after them.
export function crc32(bytes, before = 0) {
  let crc = ~before;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

// files: [{ name, blob }]; of files with the same name, later ones get a number. The photos stay where they are.
export async function zip(files, now = new Date()) {
  const parts = [], directory = [], names = new Set();
  let offset = 0;
  for (const { name, blob } of files) {
    const path = new TextEncoder().encode(unused(name, names));
    const time = (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1);
    const day = (Math.max(0, now.getFullYear() - 1980) << 9) | ((now.getMonth() + 1) << 5) | now.getDate();
    const crc = await checksum(blob);
    const about = [[2, 20], [2, 0x800], [2, 0], [2, time], [2, day], [4, crc], [4, blob.size], [4, blob.size], [2, path.length], [2, 0]];
    parts.push(bytes([4, 0x04034b50], ...about), path, blob);
    directory.push(bytes([4, 0x02014b50], [2, 20], ...about, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]), path);
    offset += 30 + path.length + blob.size;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  if (offset + length > LARGEST || files.length > MOST) throw new Error("more than 4 GB: save the photos one by one");
  const counts = [[2, files.length], [2, files.length], [4, length], [4, offset]];
  return new Blob([...parts, ...directory, bytes([4, 0x06054b50], [2, 0], [2, 0], ...counts, [2, 0])], { type: "application/zip" });
}

// Numbers of 2 or 4 bytes, the lowest byte first.
function bytes(...numbers) {
  return Uint8Array.from(numbers.flatMap(([size, value]) => Array.from({ length: size }, (_, at) => (value >>> (8 * at)) & 255)));
}

function unused(name, names) {
  let path = name;
  for (let count = 2; names.has(path.toLowerCase()); count++) path = name.replace(/(\.[^./]*)?$/, ` (${count})$1`);
  names.add(path.toLowerCase());
  return path;
}

async function checksum(blob) {
  let crc = 0;
  const reader = blob.stream().getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) crc = crc32(read.value, crc);
  return crc;
}
