//! Certificates by ACME, against a CA of our own.

mod directory;
mod jws;
mod validation;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;
use tokio::net::TcpListener;

use self::directory::Directory;
use super::pki::write;
use super::*;
use crate::tls::acme;

const MINUTE: i64 = 60_000;

/// A CA, and a server that it finds at every name.
struct Scene {
    folder: TempDir,
    ca: Arc<Directory>,
    options: Options,
    listener: Arc<TcpListener>,
}

impl Scene {
    async fn new(domains: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let web = Authority::new("web");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ca = Directory::start(&web, listener.local_addr().unwrap().port()).await;
        let acme = acme::Options {
            domains: domains.iter().copied().map(String::from).collect(),
            contact: vec!["me@example.com".into()],
            directory: format!("{}/directory", ca.base),
            directory_ca: Some(write(folder.path(), "web.pem", &web.root.pem())),
            folder: Some(folder.path().join("acme")),
            accept_terms: true,
        };
        let options = Options {
            acme: Some(acme),
            ..Options::default()
        };
        Self {
            folder,
            ca,
            options,
            listener: Arc::new(listener),
        }
    }

    /// Opens the options and accepts on the port that the CA looks at.
    fn serve(&self) -> Tls {
        let tls = open(&self.options).unwrap();
        let (serving, listener) = (tls.clone(), Arc::clone(&self.listener));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = serving.accept(stream).await;
            }
        });
        tls
    }

    /// Orders now; what the operator hears.
    async fn order(&self, tls: &Tls) -> String {
        tls.order(tls.shared.acme.as_ref().unwrap()).await
    }

    /// Files in the CA's folder with their modes.
    fn kept(&self) -> Vec<(String, u32)> {
        let parent = std::fs::read_dir(self.folder.path().join("acme")).unwrap();
        let [folder] = &parent.map(|e| e.unwrap().path()).collect::<Vec<_>>()[..] else {
            panic!("one CA, one folder");
        };
        let mut kept: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| named(&e.unwrap().path()))
            .collect();
        kept.sort();
        kept
    }
}

fn named(path: &Path) -> (String, u32) {
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    let name = path.file_name().unwrap().to_str().unwrap();
    (String::from(name), mode & 0o777)
}

fn due(tls: &Tls) -> i64 {
    tls.order_due(tls.shared.acme.as_ref().unwrap())
}

#[tokio::test]
async fn a_certificate_is_had_kept_and_used_at_the_next_start() {
    let scene = Scene::new(&["CDN.test", "www.cdn.test"]).await;
    scene.ca.state.lock().unwrap().mood.bad_nonce = true;
    let tls = scene.serve();
    let warnings = tls.warnings().join("\n");
    assert!(
        warnings.starts_with("no certificate for CDN.test, www.cdn.test yet"),
        "{warnings}"
    );
    let (client_end, server_end) = meet(&tls, client(&scene.ca.issuer)).await;
    assert!(
        client_end.is_err() && server_end.is_err(),
        "there is no certificate yet"
    );

    let (told, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let keeping = tls.clone().keep_current(move |line: &str| {
        told.send(String::from(line)).unwrap();
    });
    let keeping = tokio::spawn(keeping);
    let heard = hear.recv().await.unwrap();
    keeping.abort();
    assert_eq!(
        heard,
        "TLS has a new certificate, valid until 4096-01-01T00:00:00.000Z"
    );
    let (client_end, _server) = meet(&tls, client(&scene.ca.issuer)).await;
    let stream = client_end.unwrap();
    assert_eq!(stream.get_ref().1.peer_certificates().unwrap().len(), 2);

    let expected = ["account.json", "attempt", "certificate.pem"].map(|n| (n.into(), 0o600));
    assert_eq!(scene.kept(), expected);
    let again = open(&scene.options).unwrap();
    assert_eq!(again.warnings(), Vec::<String>::new());
    meet(&again, client(&scene.ca.issuer)).await.0.unwrap();
    assert!(due(&again) > NOW + 1000 * MINUTE);
    assert_eq!(scene.ca.orders(), 1);
    let state = scene.ca.state.lock().unwrap();
    assert_eq!(
        state.contacts,
        [serde_json::json!(["mailto:me@example.com"])]
    );
}

#[tokio::test]
async fn a_ca_gets_in_where_client_certificates_are_required() {
    let clients = Authority::new("clients");
    let mut scene = Scene::new(&["cdn.test"]).await;
    let path = write(scene.folder.path(), "clients.pem", &clients.root.pem());
    scene.options.client_ca = Some(path);
    scene.options.client_required = true;
    let tls = scene.serve();
    let told = scene.order(&tls).await;
    assert!(told.starts_with("TLS has a new certificate"), "{told}");
    let (_client, server) = meet(&tls, client(&scene.ca.issuer)).await;
    assert!(server.is_err(), "everybody else must show one");
}

#[tokio::test]
async fn a_certificate_is_renewed_in_time_by_the_same_account() {
    let scene = Scene::new(&["cdn.test"]).await;
    let tls = scene.serve();
    scene.order(&tls).await;
    let first = tls
        .shared
        .material
        .lock()
        .unwrap()
        .identity
        .clone()
        .unwrap();
    let life = first.not_after - first.not_before;
    let from_start = due(&tls) - first.not_before;
    assert!(from_start <= life / 3 * 2 && from_start > life / 5 * 3);

    scene.ca.state.lock().unwrap().mood.knows_names = true;
    scene.order(&tls).await;
    let second = tls
        .shared
        .material
        .lock()
        .unwrap()
        .identity
        .clone()
        .unwrap();
    assert_ne!(first.certified.cert[0], second.certified.cert[0]);
    assert_eq!(scene.ca.orders(), 2);
    assert_eq!(scene.ca.state.lock().unwrap().accounts.len(), 1);
}

#[tokio::test]
async fn a_failed_look_is_told_and_not_repeated_at_once_even_by_the_next_process() {
    let scene = Scene::new(&["cdn.test"]).await;
    // Whoever answers at the name is somebody else.
    let listener = Arc::clone(&scene.listener);
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let tls = open(&scene.options).unwrap();
    assert_eq!(due(&tls), 0);
    let told = scene.order(&tls).await;
    assert!(
        told.contains("the CA looked at port 443 of cdn.test: "),
        "{told}"
    );
    assert!(
        told.contains("; the next attempt is at 2025-06-15T00:1"),
        "{told}"
    );
    assert!((12 * MINUTE..=15 * MINUTE).contains(&(due(&tls) - NOW)));
    scene.order(&tls).await;
    assert!((24 * MINUTE..=30 * MINUTE).contains(&(due(&tls) - NOW)));
    let next_process = open(&scene.options).unwrap();
    assert_eq!(due(&next_process), NOW + 12 * MINUTE);
    assert!(tls.shared.acme.as_ref().unwrap().challenges.is_empty());
}

#[tokio::test]
async fn a_ca_that_limits_us_is_left_alone_for_hours() {
    let scene = Scene::new(&["cdn.test"]).await;
    scene.ca.state.lock().unwrap().mood.refuse_orders = Some((429, "rateLimited"));
    let tls = scene.serve();
    let told = scene.order(&tls).await;
    assert!(
        told.contains("not now") && told.contains("rateLimited"),
        "{told}"
    );
    assert!(due(&tls) >= NOW + 180 * MINUTE);
}

#[tokio::test]
async fn an_account_that_the_ca_forgot_is_made_anew() {
    let scene = Scene::new(&["cdn.test"]).await;
    let tls = scene.serve();
    scene.order(&tls).await;
    scene.ca.state.lock().unwrap().accounts.clear();
    let told = scene.order(&tls).await;
    assert!(told.contains("accountDoesNotExist"), "{told}");
    let told = scene.order(&tls).await;
    assert!(told.starts_with("TLS has a new certificate"), "{told}");
}

#[tokio::test]
async fn what_is_not_for_our_names_is_neither_used_nor_kept() {
    let scene = Scene::new(&["cdn.test"]).await;
    scene.ca.state.lock().unwrap().mood.misissue = Some("other.test");
    let tls = scene.serve();
    let told = scene.order(&tls).await;
    assert!(told.contains("not for cdn.test"), "{told}");
    assert!(
        scene
            .kept()
            .iter()
            .all(|(name, _)| name != "certificate.pem")
    );

    scene.ca.state.lock().unwrap().mood.misissue = None;
    scene.order(&tls).await;
    let mut other = scene.options.clone();
    other.acme.as_mut().unwrap().domains = vec!["new.test".into()];
    let warnings = open(&other).unwrap().warnings().join("\n");
    assert!(
        warnings.ends_with("not for new.test; a new certificate is ordered"),
        "{warnings}"
    );
}

#[tokio::test]
async fn a_directory_is_trusted_only_with_its_ca() {
    let mut scene = Scene::new(&["cdn.test"]).await;
    scene.options.acme.as_mut().unwrap().directory_ca = None;
    let tls = scene.serve();
    let told = scene.order(&tls).await;
    assert!(told.contains("invalid peer certificate"), "{told}");
    assert_eq!(scene.ca.orders(), 0);
}

#[test]
fn options_that_no_ca_takes_are_refused_before_it_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let base = format!("folder = '{}'\n", folder.path().display());
    let table = [
        ("accept_terms = true", "`acme.domains` is empty"),
        ("domains = ['a.test']", "set `acme.accept_terms = true`"),
        (
            "domains = ['*.a.test']\naccept_terms = true",
            "no wildcards",
        ),
        (
            "domains = ['127.0.0.1']\naccept_terms = true",
            "is no host name",
        ),
        (
            "domains = ['localhost']\naccept_terms = true",
            "is no host name",
        ),
        (
            "domains = ['a.test.']\naccept_terms = true",
            "is no host name",
        ),
        (
            "domains = ['a.test']\naccept_terms = true\ncontact = ['me']",
            "is no mail address",
        ),
        (
            "domains = ['a.test']\naccept_terms = true\ndirectory = 'http://ca'",
            "an https URL",
        ),
    ];
    for (text, expected) in table {
        let acme = toml::from_str(&(base.clone() + text)).unwrap();
        let options = Options {
            acme: Some(acme),
            ..Options::default()
        };
        let told = open(&options).map(drop).unwrap_err().to_string();
        assert!(told.contains(expected), "{told}");
    }
    let text = "domains = ['a.test']\naccept_terms = true";
    let mut options = Options {
        acme: Some(toml::from_str(text).unwrap()),
        ..Options::default()
    };
    let told = |options: &Options| open(options).map(drop).unwrap_err().to_string();
    assert!(told(&options).contains("`acme.folder` is missing"));
    options.certificate = Some("a".into());
    options.key = Some("b".into());
    assert!(told(&options).contains("both given"));
}

#[test]
fn the_manuals_examples_are_taken() {
    #[derive(serde::Deserialize)]
    struct Example {
        tls: Option<Options>,
    }
    let manual = include_str!("../../../../docs/operate/tls.md");
    let mut checked = 0;
    for part in manual.split("```toml\n").skip(1) {
        let text = part.split("```").next().unwrap();
        let example: Example = toml::from_str(text).unwrap();
        example.tls.unwrap().check().unwrap();
        checked += 1;
    }
    assert_eq!(checked, 3);
}
