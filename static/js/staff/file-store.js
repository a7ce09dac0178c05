// Stores the file of an import in the browser until the import is applied or abandoned, so that a reloaded page still
// has it.
// If the browser refuses storage, the user chooses the file again.

const NAME = "eduhub-import";

function transact(mode, act) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(NAME, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("files");
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const database = opening.result;
      const transaction = database.transaction("files", mode);
      const request = act(transaction.objectStore("files"));
      transaction.oncomplete = () => { database.close(); resolve(request.result); };
      transaction.onabort = () => { database.close(); reject(transaction.error); };
    };
  });
}

/** Stores the file of the import `task`, replacing any other file. */
export const storeFile = (task, file) => transact("readwrite", (files) => files.put({ task, file }, "file")).catch(() => {});

/** Returns the stored file of `task`, or null. */
export const loadFile = (task) => transact("readonly", (files) => files.get("file"))
  .then((stored) => stored?.task === task ? stored.file : null, () => null);

/** Deletes the stored file. */
export const deleteFile = () => transact("readwrite", (files) => files.delete("file")).catch(() => {});
