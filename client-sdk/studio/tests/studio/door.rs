//! Who gets in.

use std::time::Duration;

use sphinx_client::{Endpoints, Workspace};
use sphinx_studio::Studio;
use tokio::net::TcpListener;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn the_token_opens_once_and_tabs_share_what_it_gave() {
    let world = World::start().await;
    for request in ["GET /", "GET /data", "GET /trust", "POST /train", "GET /assets/studio.js"] {
        let own = format!("http://{}", world.host);
        assert_eq!(world.ask(request, &[("Origin", &own)], "{}").await.status, 401, "{request}");
    }
    let wrong = format!("GET /?token={}", "0".repeat(world.token.len()));
    assert_eq!(world.ask(&wrong, &[], "").await.status, 401);

    let cookie = world.enter().await;
    let seconds = world.begun.elapsed();
    assert!(seconds < Duration::from_secs(1), "{seconds:?}");
    // The same address in another browser, without the cookie.
    let again = world.ask(&format!("GET /?token={}", world.token), &[], "").await;
    assert_eq!(again.status, 401, "{}", again.head);
    // A second tab, and a third one by the old address.
    for path in ["/trust", &format!("/?token={}", world.token)] {
        let tab = world.ask(&format!("GET {path}"), &[("Cookie", &cookie)], "").await;
        assert!([200, 303].contains(&tab.status), "{}", tab.head);
    }
    for forged in [format!("{cookie}0"), cookie[..cookie.len() - 1].to_owned(), "a=b".to_owned()] {
        assert_eq!(world.ask("GET /trust", &[("Cookie", &forged)], "").await.status, 401);
    }
    let among = format!("a=b; {cookie}; c=d");
    assert_eq!(world.ask("GET /trust", &[("Cookie", &among)], "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_and_other_names_are_refused_even_with_the_cookie() {
    let world = World::start().await;
    let cookie = world.enter().await;
    let own = format!("http://{}", world.host);
    let with = |extra: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        let mut all = vec![("Cookie", cookie.clone())];
        all.extend(extra.iter().map(|(name, value)| (*name, (*value).to_owned())));
        all
    };
    let asked = async |request: &str, extra: &[(&'static str, &str)]| {
        let headers = with(extra);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = r#"{"path":"/etc"}"#;
        let json = [headers.as_slice(), &[("Content-Type", "application/json")]].concat();
        world.ask(request, &json, body).await.status
    };
    // Another site's page that posts to the studio's port.
    for origin in ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1", ""] {
        assert_eq!(asked("POST /data", &[("Origin", origin)]).await, 403, "{origin}");
        assert_eq!(asked("GET /trust", &[("Origin", origin)]).await, 403, "{origin}");
    }
    // Nor without saying where it comes from, nor as an image or a link of another site.
    assert_eq!(asked("POST /data", &[]).await, 403);
    for site in ["cross-site", "same-site"] {
        assert_eq!(asked("GET /trust", &[("Sec-Fetch-Site", site)]).await, 403, "{site}");
    }
    // A name of an attacker that was made to point here.
    for host in ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "localhost"] {
        assert_eq!(asked("GET /trust", &[("Host", host)]).await, 421, "{host}");
    }
    // The studio's own page is served: the path is wrong, not the door.
    assert_eq!(asked("POST /data", &[("Origin", &own)]).await, 422);
    let port = world.host.rsplit_once(':').unwrap().1;
    let (name, origin) = (format!("localhost:{port}"), format!("http://localhost:{port}"));
    assert_eq!(asked("POST /data", &[("Host", &name), ("Origin", &origin)]).await, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_whole_and_fetch_nothing_from_elsewhere() {
    let world = World::start().await;
    let cookie = world.enter().await;
    let open =
        async |path: &str| world.ask(&format!("GET {path}"), &[("Cookie", &cookie)], "").await;
    for path in ["/data", "/data?class=3", "/train", "/recognise", "/cloud", "/trust"] {
        let page = open(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        assert!(page.body.contains("<h1>") && page.body.contains("aria-current"), "{path}");
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        for address in ["src=\"http", "href=\"http", "src=\"//", "href=\"//", "style=\"", "onclick"]
        {
            assert!(!page.body.contains(address), "{path} has {address}");
        }
    }
    for (path, kind) in
        [("/assets/studio.css", "text/css"), ("/assets/studio.js", "text/javascript")]
    {
        let asset = open(path).await;
        assert!(asset.header("content-type").unwrap().starts_with(kind), "{path}");
        let foreign = asset.body.lines().filter(|line| line.contains("://"));
        assert!(foreign.clone().all(|line| line.contains("http://www.w3.org/2000/svg")), "{path}");
    }
    assert_eq!(open("/data/mnist/train/0").await.header("content-type"), Some("image/png"));
    assert_eq!(open("/data/mnist/train/60000").await.status, 404);
    assert_eq!(open("/runs/1/events").await.status, 404);
    assert_eq!(open("/data?set=none").await.status, 404);
}

#[tokio::test]
async fn rejects_a_listener_that_others_can_reach() {
    let home = tempfile::tempdir().unwrap();
    let workspace = Workspace::open(&Endpoints::default(), home.path().to_owned()).unwrap();
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let Err(error) = Studio::new(workspace, listener) else { panic!("it listens to everybody") };
    assert!(error.to_string().contains("reachable from other machines"), "{error}");
}
