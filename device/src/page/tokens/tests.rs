use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn a_token_opens_until_it_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("page");
    let mut tokens = Tokens::read(&place).unwrap();
    assert_eq!(tokens, Tokens::default());
    let token = tokens.create(&place, "phone").unwrap();
    assert!(tokens.create(&place, "phone").is_err());
    tokens.write(&place).unwrap();
    let text = fs::read_to_string(Tokens::path(&place)).unwrap();
    let secret = token.rsplit('_').next().unwrap();
    assert!(
        text.contains("$argon2id$") && !text.contains(secret),
        "{text}"
    );
    let mode = fs::metadata(Tokens::path(&place))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let mut read = Tokens::read(&place).unwrap();
    assert!(read.find(&token).is_some());
    let mut wrong = token.clone();
    wrong.pop();
    let longer = format!("{token}0");
    let accents = "é".repeat(40);
    for wrong in [
        wrong.as_str(),
        &longer,
        "",
        "hone__",
        "hone_",
        secret,
        &accents,
    ] {
        assert_eq!(read.find(wrong), None, "{wrong}");
    }
    assert!(read.knows(&wrong) && !read.knows("hone_0_0"));
    assert!(read.revoke("phone") && !read.revoke("phone"));
    assert_eq!(read.find(&token), None);
}

#[test]
fn behind_a_link_too_only_the_owner_reads() {
    let folder = tempfile::tempdir().unwrap();
    let (place, kept) = (folder.path().join("page"), folder.path().join("kept.json"));
    make_folder(&place).unwrap();
    fs::write(&kept, "{\"tokens\": []}").unwrap();
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o644)).unwrap();
    std::os::unix::fs::symlink(&kept, Tokens::path(&place)).unwrap();
    let mut tokens = Tokens::read(&place).unwrap();
    tokens.create(&place, "phone").unwrap();
    tokens.write(&place).unwrap();
    let mode = fs::metadata(&kept).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(Tokens::path(&place).is_symlink());
    assert_eq!(Tokens::read(&place).unwrap(), tokens);
    let names = |folder: &Path| fs::read_dir(folder).unwrap().count();
    assert_eq!((names(&place), names(folder.path())), (1, 2));
}

#[test]
fn a_damaged_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(Tokens::path(folder.path()), "{\"tokens\": [1]}").unwrap();
    let error = Tokens::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("tokens.json"), "{error}");
}

#[test]
fn who_reads_does_not_wait_for_who_writes() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("page");
    let _lock = Tokens::lock(&place).unwrap();
    assert_eq!(Tokens::read(&place).unwrap(), Tokens::default());
}

#[test]
fn what_root_writes_goes_to_who_owns_the_place() {
    let place = tempfile::tempdir().unwrap();
    if std::os::unix::fs::chown(place.path(), Some(1234), Some(2345)).is_err() {
        // Only root gives files away.
        return;
    }
    let folder = place.path().join("page");
    Tokens::default().write(&folder).unwrap();
    for path in [Tokens::path(&folder), folder] {
        let meta = fs::metadata(path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (1234, 2345));
    }
}
