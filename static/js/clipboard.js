// Copying a text to the clipboard.

/** Copies a text. Returns whether it was copied: browsers have no clipboard without HTTPS, and may refuse. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
