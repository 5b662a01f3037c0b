//! The page, the API and the metrics tell the same view, tell its age, and go live without a reload.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};

use vigie::board::view::{Answer, LineView, View};
use vigie::io::clock;
use vigie::io::web::{LabControl, Pages, serve};
use vigie::lab::fault::{Fault, Server};
use vigie::probe::{Blame, Failure, Word};
use vigie::time::{Instant, Now};

struct Site {
    address: std::net::SocketAddr,
    publish: watch::Sender<Arc<View>>,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

async fn site(view: View, lab: Option<LabControl>) -> Site {
    let (publish, published) = watch::channel(Arc::new(view));
    let (stop, stopped) = oneshot::channel();
    let any_port = ([127, 0, 0, 1], 0).into();
    let (address, served) = serve(
        any_port,
        Pages::new(published, "salle serveurs", lab),
        async {
            let _ = stopped.await;
        },
    )
    .await
    .expect("loopback can be bound");
    let served = tokio::spawn(async { served.await.expect("the server ends well") });
    Site {
        address,
        publish,
        stop,
        served,
    }
}

impl Site {
    async fn ask(&self, request: Request<String>) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response<Incoming> {
        let request = Request::get(path)
            .header("host", self.address.to_string())
            .body(String::new())
            .unwrap();
        self.ask(request).await
    }

    async fn text(&self, path: &str) -> (u16, String) {
        let reply = self.get(path).await;
        let status = reply.status().as_u16();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

fn view(answer: Answer, state: Word, now: Now, fact: u64) -> View {
    let at = now.utc;
    View {
        at,
        made: now.instant,
        fact,
        plant: "119".into(),
        answer,
        because: "Les appels aboutissent.".into(),
        since: at,
        lines: vec![LineView {
            id: "accueil".into(),
            name: "119, accueil".into(),
            state,
            confirmed: true,
            unstable: false,
            since: at,
            last_proof: Some(at),
            answered_by: Some("XIVO 1".into()),
            failure: None,
            seen_from: BTreeMap::new(),
        }],
        targets: Vec::new(),
        incidents: Vec::new(),
        own_faults: Vec::new(),
    }
}

fn fresh(answer: Answer, state: Word) -> View {
    view(answer, state, clock::now(), 1)
}

#[tokio::test]
async fn page_api_and_metrics_tell_the_same_answer() {
    let site = site(fresh(Answer::Partly, Word::Degraded), None).await;
    let (status, page) = site.text("/").await;
    assert_eq!(status, 200);
    assert!(page.contains("PARTIELLEMENT"), "{page}");
    assert!(page.contains("lang=\"fr\""), "{page}");
    assert!(page.contains("Vu depuis : salle serveurs"), "{page}");
    let (_, json) = site.text("/api/v1/status").await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["answer"], "partly");
    assert_eq!(json["vantage"], "salle serveurs");
    assert_eq!(json["lines"][0]["verdict"], "degraded");
    assert_eq!(json["fresh"], true);
    let (_, metrics) = site.text("/metrics").await;
    assert!(
        metrics.contains("vigie_answer{answer=\"partly\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("vigie_line_state{line=\"accueil\",state=\"degraded\"} 1"),
        "{metrics}"
    );
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
}

#[tokio::test]
async fn a_view_that_stopped_coming_is_never_a_yes() {
    let now = clock::now();
    let hour = Duration::from_secs(3600);
    // Whatever happened to the wall clock meanwhile.
    for utc in [now.utc, now.utc - hour, now.utc + hour] {
        let made = Now {
            instant: Instant(now.instant.0 - 6_000_000_000),
            utc,
        };
        let site = site(view(Answer::Yes, Word::Good, made, 1), None).await;
        let (_, page) = site.text("/").await;
        assert!(page.contains("ON NE SAIT PAS"), "{page}");
        let (status, health) = site.text("/healthz").await;
        assert_eq!(status, 503, "{health}");
        let (_, json) = site.text("/api/v1/status").await;
        assert!(json.contains("\"fresh\":false"), "{json}");
    }
}

#[tokio::test]
async fn a_step_of_the_wall_clock_makes_no_view_old() {
    let now = clock::now();
    let made = Now {
        utc: now.utc - Duration::from_secs(3600),
        ..now
    };
    let site = site(view(Answer::Yes, Word::Good, made, 1), None).await;
    let (status, health) = site.text("/healthz").await;
    assert_eq!(status, 200, "{health}");
}

#[tokio::test]
async fn health_names_our_own_faults() {
    let mut blind = fresh(Answer::Unknown, Word::Blind);
    blind
        .own_faults
        .push(Failure::new(Blame::Ours, "store", "the disk is full"));
    let site = site(blind, None).await;
    let (status, health) = site.text("/healthz").await;
    assert_eq!(status, 503);
    assert!(health.contains("the disk is full"), "{health}");
}

#[tokio::test]
async fn an_open_page_hears_an_outage_without_reload_and_the_stop_ends_it() {
    let site = site(fresh(Answer::Yes, Word::Good), None).await;
    let mut stream = site.get("/live").await.into_body();
    assert!(frame(&mut stream).await.contains("OUI"));
    site.publish
        .send(Arc::new(fresh(Answer::No, Word::Down)))
        .unwrap();
    let heard = frame(&mut stream).await;
    assert!(heard.contains("event: board"), "{heard}");
    assert!(heard.contains("NON"), "{heard}");
    site.stop.send(()).unwrap();
    assert!(
        stream.frame().await.is_none(),
        "the stream ends with the server"
    );
    site.served.await.unwrap();
}

async fn frame(stream: &mut Incoming) -> String {
    let frame = stream.frame().await.expect("a frame").expect("no error");
    String::from_utf8(frame.into_data().expect("data").to_vec()).unwrap()
}

#[tokio::test]
async fn the_demo_buttons_reach_the_lab_and_a_service_has_none() {
    let (control, mut faults) = mpsc::channel(1);
    let site_with_lab = site(fresh(Answer::Yes, Word::Good), Some(LabControl(control))).await;
    let (_, page) = site_with_lab.text("/demo").await;
    assert!(page.contains("Arrêt brutal"), "{page}");
    let press = |body: &str| {
        Request::post("/demo/fault")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.to_owned())
            .unwrap()
    };
    let reply = site_with_lab.ask(press("server=xivo1&fault=kill")).await;
    assert_eq!(reply.status(), 204);
    assert_eq!(faults.recv().await, Some((Server::Xivo1, Fault::Kill)));
    let reply = site_with_lab.ask(press("server=xivo9&fault=kill")).await;
    assert_eq!(reply.status(), 400);

    let service = site(fresh(Answer::Yes, Word::Good), None).await;
    let (status, _) = service.text("/demo").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn every_answer_forbids_foreign_scripts_and_caches() {
    let site = site(fresh(Answer::Yes, Word::Good), None).await;
    for path in [
        "/",
        "/fragment",
        "/static/board.css",
        "/static/board.js",
        "/static/icon.svg",
        "/metrics",
    ] {
        let reply = site.get(path).await;
        let headers = reply.headers();
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self'"), "{path}");
    }
}
