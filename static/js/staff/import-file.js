// Checks of a chosen file before it is uploaded.

const MIB = 1024 * 1024;
const FILE_MIB_MAX = 64;
/** File types that people often choose instead of CSV. */
const OTHER_TYPES = /\.(xlsx?|ods|numbers|pdf|docx?|zip)$/i;

/** Returns a file size in kB or MiB. */
export const fileSize = (bytes) =>
  bytes < MIB ? `${Math.max(1, Math.round(bytes / 1024)).toLocaleString()} kB` : `${(bytes / MIB).toFixed(1)} MiB`;

/** Returns why the file cannot be uploaded, or an empty string. */
export function fileProblem(file) {
  if (!file) return "";
  if (OTHER_TYPES.test(file.name)) return `${file.name} is not a CSV file. Save it as CSV and choose that file.`;
  if (file.size > FILE_MIB_MAX * MIB) return `${file.name} is ${fileSize(file.size)}; the limit is ${FILE_MIB_MAX} MiB. Split it by term.`;
  return file.size === 0 ? `${file.name} is empty. Choose another file.` : "";
}
