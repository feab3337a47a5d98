//! Sites and routes: compiling them at a start, and finding the one that is meant.

use super::certificates::Sequence;
use super::measure::cpu;
use super::measure::results::{Results, thousands};
use super::{short, steps};
use http::Method;
use sekisho::gateway::Terminator;
use sekisho::gateway::request::access::{RouteMatch, RouteTable};
use sekisho_config::{self as config, Place, Route};
use sekisho_testkit::configuration::{self, Addresses, IssuerPart};
use sekisho_testkit::pki::PkiDir;
use std::net::SocketAddr;
use std::path::Path;

/// Operations that are measured.
const OPERATIONS: usize = 20_000;

pub fn run(greatest: usize, results: &mut Results) {
    results.table(
        "Sites, each with three routes, a certificate and a key: CPU time",
        &["sites", "start, ms", "a connection's site found and its TLS configuration made"],
    );
    let folder = tempfile::tempdir().unwrap();
    let pki = PkiDir::create(&folder.path().join("pki"), sekisho_runtime::clock::now()).unwrap();
    for count in steps(&[1, 10, 100], greatest) {
        let text = configuration(count);
        let build = || {
            let parsed = config::parse(&text, "bench", pki.folder()).unwrap();
            Terminator::new(parsed).unwrap()
        };
        let starts = (200 / count).max(1);
        let before = cpu::of_this_process();
        (0..starts).for_each(|_| drop(build()));
        let start = (cpu::of_this_process() - before).div_f64(starts as f64);
        let terminator = build();
        let names: Vec<String> = (0..count).map(name).collect();
        let mut place = Sequence::default();
        let found = cpu::each(OPERATIONS, |_| terminator.server_config(Some(&names[place.next() % count])).unwrap());
        results.row(&[thousands(count), format!("{:.1}", start.as_secs_f64() * 1e3), short(found)]);
    }
}

/// The demo's configuration with so many sites in the place of its two.
fn configuration(sites: usize) -> String {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    // Nothing is sent to it.
    let upstream = SocketAddr::from(([127, 0, 0, 1], 1));
    let rendered = configuration::render(&Addresses { listen: any, admin: any, upstream }, &IssuerPart::default());
    let (before, _) = rendered.split_once("# A bad certificate gets the TLS alert that is true.").unwrap();
    let site = |number: usize| {
        format!(
            "[[site]]\nserver_names = [\"{}\"]\ncertificate = \"ib.localhost.pem\"\nkey = \"ib.localhost.key\"\nca = [\"root\"]\n\
             [[site.route]]\npath = \"/\"\npool = \"ib\"\n\
             [[site.route]]\npath = \"/users\"\npool = \"ib\"\nrequire = [\"user_id\"]\n\
             [[site.route]]\npath = \"/administrators\"\npool = \"ib\"\nrequire = [\"!user_id\"]\n",
            name(number)
        )
    };
    before.to_owned() + &(0..sites).map(site).collect::<String>()
}

fn name(number: usize) -> String {
    format!("ib{number}.example.jp")
}

pub fn routes(greatest: usize, results: &mut Results) {
    results.table(
        "Routes of one site (`/group/page`): CPU time",
        &["routes", "compiled, ms", "found, at random", "none found"],
    );
    for count in steps(&[1, 10, 100, 1_000], greatest) {
        let routes: Vec<Route> = (0..count).map(|number| route(&path(number))).collect();
        let compiled = cpu::each(1, |_| RouteTable::new(&routes));
        let table = RouteTable::new(&routes);
        let requests: Vec<String> = (0..count).map(|number| format!("{}/top.do", path(number))).collect();
        let mut place = Sequence::default();
        let found = cpu::each(OPERATIONS, |_| {
            let path = &requests[place.next() % count];
            match table.find(path, &Method::GET) {
                RouteMatch::Route(route) => assert!(Path::new(path).starts_with(&**route.route.path())),
                other => panic!("{path}: {other:?}"),
            }
        });
        let none = cpu::each(OPERATIONS, |_| match table.find("/group1/elsewhere/top.do", &Method::GET) {
            RouteMatch::NotFound => {}
            other => panic!("{other:?}"),
        });
        let compiled = format!("{:.2}", compiled.as_secs_f64() * 1e3);
        results.row(&[thousands(count), compiled, short(found), short(none)]);
    }
}

fn path(number: usize) -> String {
    format!("/group{}/page{number}", number % 100)
}

fn route(path: &str) -> Route {
    Route {
        place: Place::default(),
        path: path.to_owned(),
        methods: Vec::new(),
        pool: "ib".into(),
        require: Vec::new(),
        timeout: None,
        finish: None,
    }
}
