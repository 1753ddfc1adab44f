use super::*;

fn peer() -> IpAddr {
    IpAddr::from([10, 0, 0, 7])
}

#[test]
fn a_right_token_is_remembered_until_it_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let access = Access::new(folder.path());
    assert_eq!(access.check("hone_a_b", peer()), Err(Refusal::Wrong));
    let mut tokens = Tokens::default();
    let token = tokens.create(folder.path(), "phone").unwrap();
    tokens.write(folder.path()).unwrap();
    let seen = |token: &str| access.stands(Pass::token(token));
    assert!(!seen(&token));
    assert_eq!(access.check(&token, peer()), Ok(()));
    assert!(seen(&token));
    let cookie = access.log_in(&token).unwrap();
    assert!(access.logged_in(&cookie) && !access.logged_in("else"));

    // Another token's coming and going is nothing to this one.
    let other = tokens.create(folder.path(), "tablet").unwrap();
    tokens.write(folder.path()).unwrap();
    assert!(seen(&token) && access.logged_in(&cookie) && !seen(&other));
    assert_eq!(access.check(&other, peer()), Ok(()));
    assert!(tokens.revoke("tablet"));
    tokens.write(folder.path()).unwrap();
    assert!(seen(&token) && access.logged_in(&cookie) && !seen(&other));

    tokens.revoke("phone");
    tokens.write(folder.path()).unwrap();
    assert!(!seen(&token) && !access.logged_in(&cookie));
    assert_eq!(access.check(&token, peer()), Err(Refusal::Wrong));
}

/// A folder with one token, and an access that knows it.
fn known_phone() -> (tempfile::TempDir, String, Access) {
    let folder = tempfile::tempdir().unwrap();
    let mut tokens = Tokens::default();
    let token = tokens.create(folder.path(), "phone").unwrap();
    tokens.write(folder.path()).unwrap();
    let access = Access::new(folder.path());
    access.check(&token, peer()).unwrap();
    (folder, token, access)
}

#[test]
fn a_file_that_cannot_be_read_for_a_moment_shuts_nobody_out() {
    let (folder, token, access) = known_phone();
    // A folder can be opened, but reading it fails.
    let path = Tokens::path(folder.path());
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(access.stands(Pass::token(&token)));
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, "no tokens").unwrap();
    assert!(!access.stands(Pass::token(&token)));
}

#[test]
fn another_file_of_the_same_length_and_time_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = Tokens::path(folder.path());
    let write = |name: &str| {
        let mut tokens = Tokens::default();
        let token = tokens.create(folder.path(), name).unwrap();
        tokens.write(folder.path()).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        (token, file.metadata().unwrap().len())
    };
    let (token, length) = write("phone");
    let access = Access::new(folder.path());
    access.check(&token, peer()).unwrap();
    assert_eq!(write("other").1, length);
    assert!(!access.stands(Pass::token(&token)));
}

#[test]
fn guessing_is_stopped_and_the_known_token_still_opens() {
    let (_folder, token, access) = known_phone();
    for _ in 0..5 {
        assert_eq!(access.check("hone_a_b", peer()), Err(Refusal::Wrong));
    }
    let refused = access.check("hone_a_b", peer());
    assert!(matches!(refused, Err(Refusal::Wait(_))), "{refused:?}");
    assert_eq!(access.check(&token, peer()), Ok(()));
}

#[test]
fn logins_end_and_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let access = Access::new(folder.path());
    let first = access.log_in("token").unwrap();
    access.log_out(&first);
    assert!(!access.logged_in(&first));
    let second = access.log_in("token").unwrap();
    for _ in 0..SESSIONS {
        access.log_in("token").unwrap();
    }
    assert!(!access.logged_in(&second));
}
