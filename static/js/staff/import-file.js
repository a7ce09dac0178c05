// What can be said of a file before it is sent.

const MIB = 1024 * 1024;
const FILE_MIB_MAX = 64;
/** What people have instead of CSV. */
const OTHER_KINDS = /\.(xlsx?|ods|numbers|pdf|docx?|zip)$/i;

export const size = (bytes) => bytes < MIB ? `${Math.max(1, Math.round(bytes / 1024)).toLocaleString()} kB` : `${(bytes / MIB).toFixed(1)} MiB`;

/** What the page knows to be wrong with a file before it is sent. */
export function wrongWith(file) {
  if (!file) return "";
  if (OTHER_KINDS.test(file.name)) return `${file.name} is not a CSV file. Save the table as CSV, and choose that.`;
  if (file.size > FILE_MIB_MAX * MIB) return `${file.name} has ${size(file.size)}; a file may have ${FILE_MIB_MAX} MiB. Split it by term.`;
  return file.size === 0 ? `${file.name} is empty. Choose another file.` : "";
}
