// The lines of an imported text file: finds the row that starts at a line, and replaces it. Rows are found in the bytes
// of the file, block by block, so that a file of any size is neither decoded nor copied. Quotation marks and line
// numbers have the same meaning as in the hub.

const BLOCK_BYTES = 1024 * 1024;
/** The size of a row up to which the hub reads it. */
const ROW_BYTES_MAX = 256 * 1024;
/** How many bytes are examined to find the byte order of UTF-16. */
const SAMPLE_BYTES = 1024;
const UTF8_BOM = [0xef, 0xbb, 0xbf];
const [QUOTE, CR, LF] = ['"', "\r", "\n"].map((one) => one.charCodeAt(0));
/** The states in reading a row: what the next byte belongs to. */
const [ROW_START, CELL_START, CELL, QUOTED, QUOTE_IN_QUOTED] = [0, 1, 2, 3, 4];

const bytesOf = async (file, start, end) => new Uint8Array(await file.slice(start, end).arrayBuffer());
const isBreak = (code) => code === CR || code === LF;

/** Returns the state after a character. */
function next(state, code, delimiter) {
  if (state === QUOTED) return code === QUOTE ? QUOTE_IN_QUOTED : QUOTED;
  if (code === QUOTE && state !== CELL) return QUOTED;
  if (isBreak(code)) return ROW_START;
  return code === delimiter ? CELL_START : CELL;
}

/** Returns the browser's name for the encoding, with the byte order, which the hub's report does not state. */
async function decoding(file, encoding) {
  if (encoding !== "UTF-16") return encoding;
  const head = await bytesOf(file, 0, SAMPLE_BYTES);
  if (head[0] >= 0xfe) return head[0] === 0xfe ? "utf-16be" : "utf-16le";
  return head.indexOf(0) % 2 === 0 ? "utf-16be" : "utf-16le";
}

/**
 * Returns the file in UTF-8. One in another encoding gets a byte order mark, by which spreadsheet programs recognize
 * UTF-8.
 */
export async function inUtf8(file, encoding) {
  if (encoding === "UTF-8") return file;
  const text = file.stream().pipeThrough(new TextDecoderStream(await decoding(file, encoding))).pipeThrough(new TextEncoderStream());
  return new File([new Uint8Array(UTF8_BOM), await new Response(text).blob()], file.name, { type: "text/csv" });
}

/**
 * Finds the bytes of the row that starts at `line` of a file in UTF-8. Returns `{start, end}`, or null if none does or
 * the row cannot be changed: it is too large, or its quotation marks are not closed.
 */
async function find(file, line, delimiter) {
  const head = await bytesOf(file, 0, UTF8_BOM.length);
  const begin = UTF8_BOM.every((byte, i) => head[i] === byte) ? UTF8_BOM.length : 0;
  let [state, number, afterCr, start] = [ROW_START, 1, false, null];
  for (let at = begin; at < file.size; at += BLOCK_BYTES) {
    const bytes = await bytesOf(file, at, at + BLOCK_BYTES);
    for (let i = 0; i < bytes.length; i += 1) {
      const byte = bytes[i];
      if (state === ROW_START && !isBreak(byte)) {
        if (number > line) return null;
        if (number === line) start = at + i;
        state = CELL_START;
      }
      state = next(state, byte, delimiter);
      if (start !== null && (state === ROW_START || at + i - start > ROW_BYTES_MAX)) return state === ROW_START ? { start, end: at + i } : null;
      if (byte === CR || (byte === LF && !afterCr)) number += 1;
      afterCr = byte === CR;
    }
  }
  return start === null || state === QUOTED ? null : { start, end: file.size };
}

/** Returns the cells of a row in their written form, with quotation marks. */
function split(text, delimiter) {
  const cells = [];
  let [state, start] = [CELL_START, 0];
  for (let i = 0; i < text.length; i += 1) {
    state = next(state, text.charCodeAt(i), delimiter);
    if (state === CELL_START) {
      cells.push(text.slice(start, i));
      start = i + 1;
    }
  }
  return [...cells, text.slice(start)];
}

/** Returns the text of a cell from its written form. */
function textOf(written) {
  if (!written.startsWith('"')) return written;
  const [, quoted, rest] = /^"((?:[^"]|"")*)"?([^]*)$/.exec(written);
  return quoted.replaceAll('""', '"') + rest;
}

/** Returns the written form of a text, in quotation marks if it needs them. */
const writtenOf = (text, delimiter) => /^\s|\s$|["\r\n]/.test(text) || text.includes(delimiter) ? `"${text.replaceAll('"', '""')}"` : text;

/** The row that starts at a line of a file in UTF-8. */
export class Row {
  /**
   * Returns the row at `line`, or null if none starts there that can be changed. `delimiter` is the character between
   * cells.
   */
  static async read(file, line, delimiter) {
    const found = await find(file, line, delimiter.charCodeAt(0));
    return found && new Row(file, found, delimiter, await file.slice(found.start, found.end).text());
  }

  constructor(file, { start, end }, delimiter, text) {
    Object.assign(this, { file, start, end, delimiter, text });
    this.written = split(text, delimiter.charCodeAt(0));
    this.cells = this.written.map(textOf);
  }

  /**
   * Returns the written form of the row with other cells. An unchanged cell in the same place keeps its written form.
   */
  with(cells) {
    return cells.map((cell, i) => cell === this.cells[i] ? this.written[i] : writtenOf(cell, this.delimiter)).join(this.delimiter);
  }

  /** Returns the file with this text instead of the row. */
  replaced(text) {
    return new File([this.file.slice(0, this.start), text, this.file.slice(this.end)], this.file.name, { type: "text/csv" });
  }
}
