//! Files that change while the server runs.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::pki::{Issued, write};
use super::*;

/// The certificate that a new connection gets.
async fn presented(tls: &Tls, authority: &Authority) -> Vec<u8> {
    let (client, _server) = meet(tls, client(authority)).await;
    let client = client.unwrap();
    client.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// Looks as often as in `seconds`; what was told.
fn look_for(tls: &Tls, seconds: i64) -> Vec<String> {
    let mut told = Vec::new();
    for _ in 0..=seconds / 2 {
        told.extend(tls.look());
        tls.shared.clock.advance(2000);
    }
    told
}

fn der(issued: &Issued) -> Vec<u8> {
    issued.leaf.der().to_vec()
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_old_ones_go_on() {
    let authority = Authority::new("a");
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (authority.issue("cdn.test"), authority.issue("cdn.test"));
    let tls = open(&old.write(folder.path())).unwrap();
    let (near, far) = meet(&tls, client(&authority)).await;
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    assert_eq!(look_for(&tls, 10), Vec::<String>::new());

    new.write(folder.path());
    let told = look_for(&tls, 4);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains("certificate valid until 4096-01-01"),
        "{told:?}"
    );
    assert_eq!(presented(&tls, &authority).await, der(&new));
    far.write_all(b"still here").await.unwrap();
    far.flush().await.unwrap();
    let mut heard = [0; 10];
    near.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"still here");
}

#[tokio::test]
async fn certificate_and_key_are_switched_together_or_not_at_all() {
    let authority = Authority::new("a");
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (authority.issue("cdn.test"), authority.issue("cdn.test"));
    let tls = open(&old.write(folder.path())).unwrap();

    write(folder.path(), "fullchain.pem", &new.full_chain());
    assert_eq!(
        look_for(&tls, 6),
        Vec::<String>::new(),
        "the key is under way"
    );
    assert_eq!(presented(&tls, &authority).await, der(&old));
    let told = look_for(&tls, 60);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("TLS goes on with the old files: key "),
        "{told:?}"
    );
    assert_eq!(presented(&tls, &authority).await, der(&old));

    write(folder.path(), "privkey.pem", &new.key.serialize_pem());
    assert_eq!(look_for(&tls, 4).len(), 1);
    assert_eq!(presented(&tls, &authority).await, der(&new));
}

#[tokio::test]
async fn what_is_broken_or_gone_changes_nothing() {
    let authority = Authority::new("a");
    let folder = tempfile::tempdir().unwrap();
    let old = authority.issue("cdn.test");
    let options = old.write(folder.path());
    let tls = open(&options).unwrap();
    write(folder.path(), "fullchain.pem", "garbage");
    assert_eq!(look_for(&tls, 20).len(), 1);
    std::fs::remove_file(options.certificate.unwrap()).unwrap();
    assert_eq!(look_for(&tls, 20).len(), 1);
    assert_eq!(presented(&tls, &authority).await, der(&old));
}

#[tokio::test]
async fn a_swapped_link_is_followed() {
    use std::os::unix::fs::symlink;
    let authority = Authority::new("a");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let [old, new] = ["old", "new"].map(|name| {
        std::fs::create_dir(at(name)).unwrap();
        let issued = authority.issue("cdn.test");
        issued.write(&at(name));
        issued
    });
    symlink("old", at("..data")).unwrap();
    let options = Options {
        certificate: Some(at("..data/fullchain.pem")),
        key: Some(at("..data/privkey.pem")),
        ..Options::default()
    };
    let tls = open(&options).unwrap();
    assert_eq!(presented(&tls, &authority).await, der(&old));
    symlink("new", at("..data_tmp")).unwrap();
    std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    assert_eq!(look_for(&tls, 4).len(), 1);
    assert_eq!(presented(&tls, &authority).await, der(&new));
}

#[tokio::test]
async fn files_are_followed_without_being_asked() {
    let authority = Authority::new("a");
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (authority.issue("cdn.test"), authority.issue("cdn.test"));
    let tls = open(&old.write(folder.path())).unwrap();
    let (told, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let following = tls.clone();
    let following = tokio::spawn(async move {
        let tell = |line: &str| told.send(String::from(line)).unwrap();
        following
            .follow_files(Duration::from_millis(5), &tell)
            .await;
    });
    new.write(folder.path());
    let heard = hear.recv().await.unwrap();
    following.abort();
    assert!(heard.starts_with("TLS follows"), "{heard}");
    assert_eq!(presented(&tls, &authority).await, der(&new));
}
