//! `tests/run` must not pass because it found nothing to run.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

#[test]
fn peers_that_cannot_be_listed_are_a_failure() {
    for (case, cargo) in [
        ("it does not compile", "echo 'error: no' >&2; exit 101"),
        ("there is none", "exit 0"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("cargo");
        std::fs::write(&program, format!("#!/bin/sh\n{cargo}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = std::env::var("PATH").unwrap();
        let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run"))
            .arg("peers")
            .env("PATH", format!("{}:{path}", folder.path().display()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{case}: {said}");
        assert!(said.contains("0 passed, 1 failed"), "{case}: {said}");
    }
}
