// Checks of a chosen file before it is uploaded.

const MIB = 1024 * 1024;
const FILE_MIB_MAX = 64;
/** File types that people often choose instead of CSV or a spreadsheet. */
const OTHER_TYPES = /\.(xlsb|numbers|pdf|docx?|odt|pptx?|zip|html?|json)$/i;
/** The media types of spreadsheets. Browsers know them only where a spreadsheet program is installed. */
const MEDIA_TYPES = {
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  xlsm: "application/vnd.ms-excel.sheet.macroEnabled.12",
  xls: "application/vnd.ms-excel",
  ods: "application/vnd.oasis.opendocument.spreadsheet",
};

/** Returns the media type with which a file is uploaded. The hub recognizes it by its content. */
export const mediaType = (file) => MEDIA_TYPES[/\.(\w+)$/.exec(file.name)?.[1].toLowerCase()] ?? "text/csv";

/** Returns a file size in KiB or MiB. */
export const fileSize = (bytes) =>
  bytes < MIB ? `${Math.max(1, Math.round(bytes / 1024)).toLocaleString()} KiB` : `${(bytes / MIB).toFixed(1)} MiB`;

/** Returns why the file cannot be uploaded, or an empty string. */
export function fileProblem(file) {
  if (!file) return "";
  if (OTHER_TYPES.test(file.name)) return `${file.name} is not a CSV file or a spreadsheet. Save it as CSV or .xlsx and choose that file.`;
  if (file.size > FILE_MIB_MAX * MIB) return `${file.name} is ${fileSize(file.size)}; the limit is ${FILE_MIB_MAX} MiB. Split it by term.`;
  return file.size === 0 ? `${file.name} is empty. Choose another file.` : "";
}
