// Checks of a chosen file before it is uploaded.

import { number, t } from "../i18n.js";

const MIB = 1024 * 1024;
const FILE_MIB_MAX = 64;
/** File types that people often choose instead of CSV or a spreadsheet. */
const OTHER_TYPES = /\.(xlsb|numbers|pdf|docx?|odt|pptx?|html?|json)$/i;
/**
 * The media types of spreadsheets and of OneRoster files. Browsers know the former only where a spreadsheet program is
 * installed.
 */
const MEDIA_TYPES = {
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  xlsm: "application/vnd.ms-excel.sheet.macroEnabled.12",
  xls: "application/vnd.ms-excel",
  ods: "application/vnd.oasis.opendocument.spreadsheet",
  zip: "application/zip",
};

/** Returns the media type with which a file is uploaded. The hub recognizes it by its content. */
export const mediaType = (file) => MEDIA_TYPES[/\.(\w+)$/.exec(file.name)?.[1].toLowerCase()] ?? "text/csv";

/** Returns a number of bytes in MiB, with one decimal. */
export const mebibytes = (bytes) => number(bytes / MIB, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** Returns a file size in KiB or MiB. */
export const fileSize = (bytes) =>
  bytes < MIB ? `${number(Math.max(1, Math.round(bytes / 1024)))} KiB` : `${mebibytes(bytes)} MiB`;

/** Returns why the file cannot be uploaded, or an empty string. */
export function fileProblem(file) {
  if (!file) return "";
  if (OTHER_TYPES.test(file.name)) return t("file.other", { name: file.name });
  if (file.size > FILE_MIB_MAX * MIB) return t("file.large", { name: file.name, size: fileSize(file.size), max: FILE_MIB_MAX });
  return file.size === 0 ? t("file.empty", { name: file.name }) : "";
}
