//! The modes of the files that the program writes, with a umask that would let every user of the machine read them.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::http::Client;
use crate::support::schedule::{start_import, wait_for_import};
use crate::support::server::{Home, Server};
use crate::support::wait::eventually;

/// Returns a command of the program that runs with the umask 022.
fn with_umask_022(home: &Home, arguments: &[&str]) -> Command {
    let command = home.command(arguments);
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 022; exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.current_dir(home.folder());
    shell
}

/// Returns everything below a folder, with the folder itself.
fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    // A folder may be removed while it is read, such as that of an upload.
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn assert_private(paths: &[PathBuf]) {
    for path in paths {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(path), expected, "{} has the mode {:o}", path.display(), mode(path));
    }
}

/// Starts an upload that does not end, and returns its connection.
fn upload_in_part(server: &Server, token: &str) -> Client {
    let mut client = server.client();
    let head = format!(
        "POST /api/v1/imports?term=2030 HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: text/csv\r\nContent-Length: 1000\r\n\r\ncrn,course,capacity\n"
    );
    client.stream().write_all(head.as_bytes()).unwrap();
    client
}

#[test]
fn only_the_owner_can_read_what_the_program_writes() {
    let home = Home::new().without("auth.secret");
    let (data, backup) = (home.folder().join("var"), home.folder().join("backup.db"));
    let home = home.setting("store.url", &format!("sqlite:{}", data.join("hub.db").display()));
    let server = home.start(with_umask_022(&home, &["serve"]));
    let mut staff = server.client().signed_in(&home.token("registrar", "staff"));
    let uploading = upload_in_part(&server, &home.token("registrar", "staff"));
    let is_upload = |path: &PathBuf| path.ends_with("upload.csv");
    eventually("an upload that is arriving", || all_below(&data).iter().any(is_upload).then_some(()));
    assert_private(&all_below(&data));
    drop(uploading);
    eventually("the upload to be removed", || (!all_below(&data).iter().any(is_upload)).then_some(()));

    let task = start_import(&mut staff, "2030", b"crn,course,capacity\n1,MATH 1,many\n");
    assert_eq!(wait_for_import(&mut staff, &task)["state"], "failed");

    let is_upload = |path: &PathBuf| path.display().to_string().contains("/upload-");
    eventually("the folder of the upload to be removed", || (!all_below(&data).iter().any(is_upload)).then_some(()));

    let names: Vec<String> = all_below(&data).iter().map(|path| path.display().to_string()).collect();
    for end in ["hub.db", "-wal", "-shm", ".lock", ".last-commit", ".secret", ".imports", ".csv"] {
        assert!(names.iter().any(|name| name.ends_with(end)), "{end} is written: {names:?}");
    }
    assert_private(&all_below(&data));

    let mut command = with_umask_022(&home, &["backup", &backup.display().to_string()]);
    assert!(command.stdin(Stdio::null()).status().unwrap().success());
    assert_private(&[backup]);

    // Files with the modes that an earlier version gave them become private.
    assert!(server.stop().success());
    for path in all_below(&data) {
        fs::set_permissions(&path, Permissions::from_mode(if path.is_dir() { 0o755 } else { 0o644 })).unwrap();
    }
    let server = home.start(with_umask_022(&home, &["serve"]));
    assert!(server.log().contains("other users of this machine can look into the folder"), "{}", server.log());
    assert_eq!(mode(&data), 0o755, "the folder may have been opened on purpose");
    assert_private(&all_below(&data)[1..]);
    assert!(server.stop().success());
}
