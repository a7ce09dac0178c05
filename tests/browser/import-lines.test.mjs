// The rows of an imported text file, as the staff page finds and replaces them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { inUtf8, Row } from "../../static/js/staff/text-lines.js";

const file = (...parts) => new File(parts, "schedule.csv");
const utf16 = (text, bigEndian) => {
  const bytes = Buffer.from(text, "utf16le");
  return bigEndian ? bytes.swap16() : bytes;
};

test("a row is found by its first physical line, counted as the hub counts lines", async () => {
  const table = [
    ["a,b\nc,d\n", { 1: ["a", "b"], 2: ["c", "d"], 3: null }],
    ["a\r\n\r\n\r\nb", { 1: ["a"], 2: null, 4: ["b"] }],
    ["\n\na\rb\rc", { 3: ["a"], 4: ["b"], 5: ["c"] }],
    ['"a\nA",x\nb', { 1: ["a\nA", "x"], 2: null, 3: ["b"] }],
    ['"a\r\n""A",x\r\nb', { 1: ['a\r\n"A', "x"], 3: ["b"] }],
    ['5" pipe,x\n" y"z,"1,2"', { 1: ['5" pipe', "x"], 2: [" yz", "1,2"] }],
    ['="00076",x', { 1: ['="00076"', "x"] }],
    ['a\nb,"never closed\nc', { 1: ["a"], 2: null, 3: null }],
    ["\u{feff}a,b\nc,d", { 1: ["a", "b"], 2: ["c", "d"] }],
    ["", { 1: null }],
  ];
  for (const [text, lines] of table) {
    for (const [line, cells] of Object.entries(lines)) {
      assert.deepEqual((await Row.read(file(text), Number(line), ","))?.cells ?? null, cells, `line ${line} of ${JSON.stringify(text)}`);
    }
  }
});

test("a replaced row changes nothing else, and its other cells stay as they were written", async () => {
  const text = '\u{feff}crn;title;cap\r\n"1";"One; two";many\r\n2; Two ;"3"';
  const row = await Row.read(file(text), 2, ";");
  assert.equal(row.with(row.cells), row.text);
  const corrected = row.replaced(row.with(["1", 'Say "hi"', "20"]));
  // `text()` decodes, which removes the byte order mark.
  assert.equal(Buffer.from(await corrected.arrayBuffer()).toString(), '\u{feff}crn;title;cap\r\n"1";"Say ""hi""";20\r\n2; Two ;"3"');
  const undone = (await Row.read(corrected, 2, ";")).replaced(row.text);
  assert.equal(Buffer.from(await undone.arrayBuffer()).toString(), text);
});

test("rows beyond the first block are found, even across its end", async () => {
  const lines = Array.from({ length: 60_000 }, (_, i) => `${i + 1},"Naïve – ${i}\nand more",30`);
  const whole = file(lines.join("\n"));
  assert.ok(whole.size > 1.5 * 1024 * 1024);
  for (const i of [0, 30_000, 38_000, 59_999]) assert.deepEqual((await Row.read(whole, 2 * i + 1, ",")).cells, [String(i + 1), `Naïve – ${i}\nand more`, "30"]);
  // The hub rejects a row of this size, too.
  assert.equal(await Row.read(file("a\n", "x".repeat(300_000), "\nb"), 2, ","), null);
});

test("a file in any encoding that the hub reads is converted to UTF-8", async () => {
  const text = "crn\ttitle\n1\tÉtica – “á”\n";
  const windows = Buffer.from("crn\ttitle\n1\t\xc9tica \x96 \x93\xe1\x94\n", "latin1");
  const all = [["Windows-1252", windows], ...[true, false].flatMap((bigEndian) => ["\u{feff}", ""].map((mark) => ["UTF-16", utf16(mark + text, bigEndian)]))];
  for (const [encoding, bytes] of all) {
    const converted = await inUtf8(file(bytes), encoding);
    assert.equal(Buffer.from(await converted.arrayBuffer()).toString(), `\u{feff}${text}`, encoding);
    assert.deepEqual((await Row.read(converted, 2, "\t")).cells, ["1", "Ética – “á”"]);
  }
  const same = file(text);
  assert.equal(await inUtf8(same, "UTF-8"), same);
});
