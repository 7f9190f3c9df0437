//! The jar of a visitor: cookies stay with the host and port that set them.

use std::net::{IpAddr, Ipv4Addr};

use http::{Method, Uri, header};

use super::{FROM, Stage, Visitor};

fn visitor() -> Visitor {
    let stage = Stage { port: 8080, secret: "of-this-run".to_owned() };
    Visitor::new(stage, "agent/1", IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)))
}

fn sent(visitor: &Visitor, method: Method, host: &str, body: Option<&str>) -> http::HeaderMap {
    let host = format!("{host}.localhost:8080");
    let uri: Uri = format!("http://{host}/payroll?x=1").parse().unwrap();
    let request = visitor.request(method, &uri, &host, body.map(ToOwned::to_owned)).unwrap();
    assert_eq!(request.uri(), "/payroll?x=1");
    request.headers().clone()
}

#[test]
fn a_cookie_goes_back_to_its_own_host_only() {
    let mut visitor = visitor();
    visitor.keep("payroll.localhost:8080", "access_token=t; Path=/; HttpOnly");
    visitor.keep("payroll.localhost:8080", "other=o");
    visitor.keep("auth.localhost:8080", "elsewhere=e");
    assert_eq!(visitor.cookie("payroll", "access_token"), Some("t"));
    assert_eq!(sent(&visitor, Method::GET, "payroll", None)[header::COOKIE], "access_token=t; other=o");
    assert_eq!(sent(&visitor, Method::GET, "auth", None)[header::COOKIE], "elsewhere=e");
}

#[test]
fn a_cookie_is_replaced() {
    let mut visitor = visitor();
    visitor.hold("payroll", "access_token", "old");
    visitor.keep("payroll.localhost:8080", "access_token=new; Path=/");
    assert_eq!(sent(&visitor, Method::GET, "payroll", None)[header::COOKIE], "access_token=new");
}

#[test]
fn a_visitor_says_where_it_is_with_the_secret() {
    let mut visitor = visitor();
    assert_eq!(sent(&visitor, Method::GET, "payroll", None)[FROM], "of-this-run 192.0.2.10");
    visitor.travel(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)));
    assert_eq!(sent(&visitor, Method::GET, "payroll", None)[FROM], "of-this-run 203.0.113.7");
}

#[test]
fn a_visit_navigates_and_a_post_is_a_scripts() {
    let visitor = visitor();
    let visit = sent(&visitor, Method::GET, "payroll", None);
    assert_eq!((&visit["sec-fetch-mode"], visit.get(header::COOKIE)), (&header::HeaderValue::from_static("navigate"), None));
    let post = sent(&visitor, Method::POST, "payroll", Some("{}"));
    assert_eq!(
        (&post[header::ORIGIN], &post["sec-fetch-site"]),
        (&"http://payroll.localhost:8080".parse().unwrap(), &"same-origin".parse().unwrap())
    );
}
