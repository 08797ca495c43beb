//! Orders that wait for their turn rest on what others saw of the output meanwhile; nothing that was there before an order
//! came in is missed.

use crate::lanes::order;
use crate::shop::Shop;
use conductor_porch::{Applied, Engine, Order, Patience, PorchError, Settings};
use std::time::{Duration, Instant};

const AUTOSCALER: &str = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata:\n  name: h\nspec:\n  \
                          scaleTargetRef: {kind: Deployment, name: web}\n";

struct Waiting {
    engine: Engine,
    shop: Shop,
}

impl Waiting {
    /// A directory of packages: `web`, and those of twenty others.
    fn new(settings: impl FnOnce(Settings) -> Settings) -> Self {
        let shop = Shop::new();
        // A search that finds a kustomization rests on no other.
        std::fs::remove_file(shop.path("out/shop/web/kustomization.yaml")).unwrap();
        for n in 0..20 {
            shop.put(&format!("out/shop/a{n:02}/service.yaml"), "kind: Service\nmetadata: {name: a}\n");
        }
        let engine = Engine::new(settings(Settings { durable: false, ..Settings::new(shop.path("out")) }));
        Self { engine, shop }
    }

    fn apply(&self, order: Order, came: Instant) -> Result<Applied, PorchError> {
        let patience = Patience::new(Duration::from_secs(10), Duration::from_mins(1));
        self.engine.apply(&Order { came: Some(came), ..order }, &patience)
    }

    /// Another order looks through the same directories.
    fn another_looks(&self, came: Instant) {
        self.apply(order("api", 2), came).unwrap();
    }
}

#[test]
fn what_was_there_before_an_order_came_in_is_seen_however_recently_another_looked() {
    let waiting = Waiting::new(|settings| settings);
    let begin = Instant::now();
    for round in 0..100 {
        // Whoever looks now keeps what it sees for those that came before it.
        waiting.another_looks(begin);
        let place =
            format!("out/shop/a{:02}/{}.yaml", round % 20, if round % 2 == 0 { "hpa" } else { "service" });
        waiting.shop.put(&place, AUTOSCALER);
        waiting.apply(order("web", 3 + round % 50), Instant::now()).expect_err("an autoscaler decides");
        if round % 2 == 0 {
            std::fs::remove_file(waiting.shop.path(&place)).unwrap();
        } else {
            waiting.shop.put(&place, "kind: Service\nmetadata: {name: a}\n");
        }
    }
}

#[test]
fn another_s_look_is_believed_for_a_moment_only() {
    let waiting = Waiting::new(|settings| settings);
    waiting.another_looks(Instant::now());
    let begin = Instant::now();
    // Its package is there, so that it writes nothing and all that it saw is kept.
    waiting.another_looks(begin);
    let looked = Instant::now();
    waiting.shop.put("out/shop/a07/hpa.yaml", AUTOSCALER);
    while looked.elapsed() < Duration::from_millis(110) {
        std::thread::sleep(Duration::from_millis(5)); // Time is what it waits for.
    }
    waiting.apply(order("web", 3), begin).expect_err("an autoscaler decides");
}

#[test]
fn what_is_found_is_looked_at_anew() {
    let waiting = Waiting::new(|settings| settings);
    let begin = Instant::now();
    let place = waiting.shop.put("out/shop/a07/hpa.yaml", AUTOSCALER);
    for round in 0..50 {
        waiting.shop.put("out/shop/a07/hpa.yaml", AUTOSCALER);
        waiting.apply(order("web", 90), Instant::now()).expect_err("an autoscaler decides");
        // It is kept as seen, and decides no longer.
        std::fs::remove_file(&place).unwrap();
        waiting.apply(order("web", 3 + round), begin).unwrap();
    }
}

#[test]
fn what_the_engine_wrote_for_one_order_is_seen_by_those_that_came_before() {
    let object = |name: &str| {
        format!("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  replicas: 1\n")
    };
    let base = |settings: Settings| Settings { base: Some(settings.out.join("../base")), ..settings };
    for _ in 0..10 {
        let waiting = Waiting::new(base);
        waiting
            .shop
            .put("base/deployment.yaml", format!("{}---\n{}", object("left-half"), object("right-half")));
        let begin = Instant::now();
        waiting.apply(order("web", 3), begin).unwrap();
        // The new package of one brings the object of the other.
        for target in ["left-half", "right-half"] {
            let outcome = waiting.apply(order(target, 7), begin).unwrap().outcome;
            let file = format!("{}/{}", outcome.package, outcome.file);
            assert!(file.ends_with("/shop/left-half/deployment.yaml"), "{outcome:?}");
        }
    }
}

#[test]
fn a_file_that_only_the_search_before_a_new_package_reads_is_read_by_it() {
    let waiting = Waiting::new(|settings| settings);
    waiting.shop.put("out/shop/a07/deployment.yaml.j2", "kind: Deployment\nmetadata: {name: left-half}\n");
    let begin = Instant::now();
    waiting.apply(order("web", 3), begin).unwrap();
    waiting.apply(order("left-half", 3), begin).expect_err("a template may make it");
}

#[test]
fn an_output_directory_that_was_replaced_is_looked_at_anew() {
    let waiting = Waiting::new(|settings| settings);
    waiting.another_looks(Instant::now());
    let begin = Instant::now();
    // Its package is there, so that it writes nothing and all that it saw is kept.
    waiting.another_looks(begin);
    std::fs::rename(waiting.shop.path("out"), waiting.shop.path("away")).unwrap();
    waiting.shop.put("out/shop/web/deployment.yaml", waiting.shop.read("away/shop/web/deployment.yaml"));
    waiting.shop.put("out/shop/hpa.yaml", AUTOSCALER);
    waiting.apply(order("web", 3), begin).expect_err("an autoscaler decides");
}
