// The file of an import, kept by the browser until it is applied: a page that is left and opened again still has it.
// Where the browser keeps nothing, the file is chosen again.

const NAME = "eduhub-import";

function store(mode, act) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(NAME, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("files");
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const database = opening.result;
      const work = database.transaction("files", mode);
      const asked = act(work.objectStore("files"));
      work.oncomplete = () => { database.close(); resolve(asked.result); };
      work.onabort = () => { database.close(); reject(work.error); };
    };
  });
}

/** Keeps the file of the import `task`, instead of any other. */
export const keepFile = (task, file) => store("readwrite", (files) => files.put({ task, file }, "file")).catch(() => {});

/** The file that was kept for `task`, or null. */
export const keptFile = (task) => store("readonly", (files) => files.get("file")).then((kept) => kept?.task === task ? kept.file : null, () => null);

export const forgetFile = () => store("readwrite", (files) => files.delete("file")).catch(() => {});
