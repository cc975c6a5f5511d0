use super::*;
use crate::model::Stamp;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let header = |name| header::HeaderName::from_static(name);
    pairs.iter().map(|(k, v)| (header(k), HeaderValue::from_str(v).unwrap())).collect()
}

fn guard(address: &str, access: Access) -> Guard {
    Guard::new(address.parse().unwrap(), false, access, Clock::new(|| Stamp(1_000_000)))
}

fn judge(guard: &Guard, method: Method, path: &str, pairs: &[(&'static str, &str)]) -> u16 {
    guard.judge(&method, path, &headers(pairs)).map_or_else(|problem| problem.status, |_| 200)
}

#[test]
fn other_names_and_other_sites_stay_out() {
    let guard = guard("127.0.0.1", Access::default());
    let get = |host| judge(&guard, Method::GET, "/api/v1/runs", &[("host", host)]);
    for good in ["localhost", "LOCALHOST:7000", "127.0.0.1:7000", "[::1]:7000", "127.8.8.8"] {
        assert_eq!(get(good), 200, "{good}");
    }
    for bad in ["evil.example", "localhost.evil.example:7000", "10.0.0.1", "", "127.0.0.1.x"] {
        assert_eq!(get(bad), 421, "{bad}");
    }
    let post = |more: &[(&'static str, &str)]| {
        let pairs = [&[("host", "localhost:7000")], more].concat();
        judge(&guard, Method::POST, "/api/v1/syncs/x/run", &pairs)
    };
    assert_eq!(post(&[("origin", "http://localhost:7000")]), 200);
    for bad in ["http://localhost:7001", "https://evil.example", "null"] {
        assert_eq!(post(&[("origin", bad)]), 403, "{bad}");
    }
    assert_eq!(post(&[]), 200);
    for (site, wanted) in
        [("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403)]
    {
        assert_eq!(post(&[("sec-fetch-site", site)]), wanted, "{site}");
    }
}

fn both() -> Access {
    Access::default()
        .with_token(Role::Operate, "s3cret".into())
        .with_token(Role::View, "look".into())
}

#[test]
fn a_token_opens_what_its_role_may() {
    let guard = guard("0.0.0.0", both());
    let with = |method: Method, value: &str| {
        judge(&guard, method, "/api/v1/anything", &[("host", "box"), ("authorization", value)])
    };
    let basic = |text: &str| {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
    };
    for good in ["Bearer s3cret", "bearer s3cret", &basic("anyone:s3cret")] {
        assert_eq!(with(Method::GET, good), 200, "{good}");
        assert_eq!(with(Method::DELETE, good), 200, "{good}");
    }
    for bad in ["Bearer s3cre", "Bearer s3cret2", "s3cret", "Bearer", "Digest s3cret"] {
        assert_eq!(with(Method::GET, bad), 401, "{bad}");
    }
    assert_eq!(with(Method::GET, &basic("s3cret:")), 401);
    assert_eq!(with(Method::GET, "Bearer look"), 200);
    assert_eq!(with(Method::HEAD, "Bearer look"), 200);
    // Whatever the path and whatever the method: what is not known to read is taken to change something.
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(with(method.clone(), "Bearer look"), 403, "{method}");
    }
    assert_eq!(judge(&guard, Method::GET, "/api/v1/runs", &[("host", "box")]), 401);
    for open in ["/healthz", "/login", "/assets/page.css", "/connections/callback"] {
        assert_eq!(judge(&guard, Method::GET, open, &[]), 200, "{open}");
    }
    for shut in ["/", "/healthzz", "/assets", "/login/x", "/api/v1/openapi.json", "/metrics"] {
        assert_eq!(judge(&guard, Method::GET, shut, &[]), 401, "{shut}");
    }
}

#[tokio::test]
async fn a_cookie_needs_its_token_to_change_something() {
    let guard = guard("127.0.0.1", both());
    let secret = guard.0.sessions.begin(Role::Operate, Stamp(1_000_000));
    let cookie = format!("other=1; kilofold={secret}");
    let viewer = guard
        .judge(&Method::POST, "/x", &headers(&[("host", "localhost"), ("cookie", &cookie)]))
        .unwrap()
        .unwrap();
    let csrf = viewer.csrf.clone().unwrap();
    let send = async |pairs: &[(&'static str, &str)], body: &str| {
        let mut request = Request::builder().method("POST").uri("/x");
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        match admit(Some(viewer.clone()), request).await {
            Ok(request) => {
                assert_eq!(request.extensions().get::<Viewer>(), Some(&viewer));
                let bytes = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
                assert_eq!(bytes, body.as_bytes(), "the form is still there");
                200
            }
            Err(problem) => problem.status,
        }
    };
    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
    assert_eq!(send(&[("x-csrf-token", &csrf)], "{}").await, 200);
    assert_eq!(send(&[FORM], &format!("a=b&csrf={csrf}")).await, 200);
    assert_eq!(send(&[], "").await, 403);
    assert_eq!(send(&[("x-csrf-token", "x")], "").await, 403);
    assert_eq!(send(&[FORM], "csrf=").await, 403);
    assert_eq!(send(&[FORM], &"a".repeat(70_000)).await, 413);
    assert_eq!(send(&[("content-type", "text/plain")], &format!("csrf={csrf}")).await, 403);
    let stale = headers(&[("host", "localhost"), ("cookie", "kilofold=0123")]);
    assert!(guard.judge(&Method::GET, "/x", &stale).is_err());
}

#[test]
fn what_it_holds_is_not_shown() {
    let shown = format!("{:?}", guard("127.0.0.1", both()));
    assert!(!shown.contains("s3cret") && !shown.contains("look"), "{shown}");
}
