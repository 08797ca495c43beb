//! What is around a package: beside one that is edited a bounded search, before one that is made a whole one.

use crate::git::{committed, git};
use crate::shop::Shop;
use conductor_core::intent::{Policy, judge};
use conductor_porch::{Engine, Order, Patience, Provenance, Settings};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

const AUTOSCALER: &str = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata:\n  name: h\nspec:\n  \
                          scaleTargetRef: {kind: Deployment, name: web}\n";

fn with_neighbours(count: usize) -> Shop {
    let shop = Shop::new();
    for n in 0..count {
        shop.put(&format!("out/shop/a{n:04}/service.yaml"), "kind: Service\nmetadata: {name: a}\n");
    }
    shop
}

#[test]
fn among_many_neighbours_an_autoscaler_is_found_and_an_unfinished_search_is_told() {
    let shop = with_neighbours(60);
    assert!(shop.scale(5, &[]).line().get("note").is_none(), "all were searched");
    let shop = with_neighbours(300);
    let answer = shop.scale(5, &[]).line();
    let note = answer["note"].as_str().unwrap();
    assert!(note.contains("out/shop has more than 256 directories and files"), "{note}");
    assert!(note.ends_with("the rest was not searched for another web"), "{note}");
    // What is nearest is searched first: files directly beside, then directories from the first name on.
    for place in ["a0000/web.yaml", "zz.yaml"] {
        shop.put(&format!("out/shop/{place}"), AUTOSCALER);
        shop.scale(6, &[]).refused(73, "HorizontalPodAutoscaler h sets its replicas");
        std::fs::remove_file(shop.path(&format!("out/shop/{place}"))).unwrap();
    }
    shop.put("out/shop/zz/web.yaml", AUTOSCALER);
    assert!(shop.scale(6, &[]).line()["note"].as_str().unwrap().contains("more than 256"), "and told");
    for place in ["a0000/web.yaml", "zz/web.yaml"] {
        let shop = with_neighbours(60);
        shop.put(&format!("out/shop/{place}"), AUTOSCALER);
        shop.scale(6, &[]).refused(73, "HorizontalPodAutoscaler h sets its replicas");
    }
}

#[test]
fn what_ended_the_search_beside_a_package_is_what_the_note_says() {
    let shop = Shop::new();
    for n in 0..70 {
        shop.put(&format!("out/shop/all/{n}.yaml"), format!("#{}\n", "x".repeat(4_000_000)));
    }
    let answer = shop.scale(5, &[]).line();
    let note = answer["note"].as_str().unwrap();
    assert!(note.contains("out/shop has more than 268435456 bytes of manifests; the rest"), "{note}");
}

#[test]
fn a_file_too_large_for_a_manifest_is_not_read_beside_an_edit_and_told() {
    let shop = Shop::new();
    let large = std::fs::File::create(shop.path("out/shop/all.yaml")).unwrap();
    // Of no size on the disk, and too large to be read.
    large.set_len(1 << 40).unwrap();
    let answer = shop.scale(5, &[]).line();
    let note = answer["note"].as_str().unwrap();
    assert!(note.starts_with("out/shop/all.yaml is too large for a manifest and may hold web"), "{note}");
}

#[test]
fn the_engine_s_own_packages_for_others_come_last_and_are_searched_without_a_note() {
    let shop = Shop::new();
    let intent = |n: u32| shop.intent_for(&format!("a{n:03}"), 2, "");
    for n in 0..70 {
        shop.porch(&intent(n), &[]).line();
    }
    shop.put("out/shop/b/api.yaml", "kind: Service\nmetadata: {name: api}\n");
    assert!(shop.scale(5, &[]).line().get("note").is_none());
    shop.put("out/shop/zz/web.yaml", AUTOSCALER);
    shop.scale(6, &[]).refused(73, "HorizontalPodAutoscaler h sets its replicas");
    std::fs::remove_dir_all(shop.path("out/shop/zz")).unwrap();
    shop.put("out/shop/a-scaling/web.yaml", AUTOSCALER);
    shop.scale(6, &[]).refused(73, "HorizontalPodAutoscaler h sets its replicas");
}

#[test]
fn packages_that_the_engine_made_count_for_nothing_beside_many_of_others() {
    let shop = with_neighbours(100);
    let intent = |n: u32| shop.intent_for(&format!("b{n:03}"), 2, "");
    for n in 0..70 {
        shop.porch(&intent(n), &[]).line();
    }
    assert!(shop.scale(5, &[]).line().get("note").is_none(), "others and own together are more than 256");
    // What only has such a name, and is larger than what the engine makes, counts.
    for n in 0..300 {
        shop.put(&format!("out/shop/a-scaling/{n}.yaml"), "kind: Service\nmetadata: {name: a}\n");
    }
    let note = shop.scale(6, &[]).line()["note"].as_str().unwrap().to_owned();
    assert!(note.contains("out/shop has more than 256 directories and files"), "{note}");
}

#[test]
fn a_submodule_of_a_commit_is_told_and_hinders_nothing() {
    let Some(shop) = committed() else { return };
    let repository = shop.path("repo").display().to_string();
    let module = |path: &str| {
        let commit = git(&shop, "repo", &["rev-parse", "HEAD"]);
        let entry = format!("160000,{},{path}", commit.trim());
        git(&shop, "repo", &["update-index", "--add", "--cacheinfo", &entry]);
        git(&shop, "repo", &["commit", "-q", "-m", "A submodule"]);
    };
    let note = |target: &str, replicas: u32| {
        let intent = shop.intent_for(target, replicas, "");
        let answer = shop.porch(&intent, &["--git", &repository]).line();
        answer.get("note").and_then(|note| note.as_str()).unwrap_or_default().to_owned()
    };
    module("vendor/lib");
    let new = note("api", 3);
    assert!(new.contains("vendor/lib is a submodule, which was not searched for api"), "{new}");
    assert!(!note("web", 5).contains("submodule"), "it is not beside the package");
    module("shop/common");
    let new = note("queue", 3);
    assert!(new.contains("shop/common is a submodule, which was not searched for queue"), "{new}");
    assert!(new.contains("vendor/lib is a submodule"), "{new}");
    let edit = note("web", 6);
    assert!(edit.contains("shop/common is a submodule, which was not searched for web"), "{edit}");
    module("shop/other");
    let edit = note("web", 7);
    assert!(edit.contains("shop/common and 1 more are submodules, which were not searched"), "{edit}");
    // A package whose manifests are all elsewhere.
    module("shop/db/manifests");
    let run = shop.porch(&shop.intent_for("db", 3, ""), &["--git", &repository]);
    run.refused(73, "manifests (a submodule)");
    // The package itself.
    module("shop/cart");
    let run = shop.porch(&shop.intent_for("cart", 3, ""), &["--git", &repository]);
    run.refused(73, "'shop/cart' is a submodule, whose files are in another repository");
    // What the operator has named is not told.
    git(&shop, "repo", &["reset", "-q", "--hard"]);
    shop.put("repo/shop/.krmignore", "common\nother\ndb/manifests\ncart\n");
    git(&shop, "repo", &["add", "shop/.krmignore"]);
    git(&shop, "repo", &["commit", "-q", "-m", "Known"]);
    let edit = note("web", 8);
    assert!(!edit.contains("submodule"), "{edit}");
}

#[test]
fn nothing_is_made_beside_what_cannot_be_searched() {
    let whole = "kind: Service\n".to_owned();
    let cases = [
        ("shop/all.yaml", format!("name: web\n#{}\n", "x".repeat(5 << 20)), "is too large for a manifest"),
        (&format!("shop/{}all.yaml", "d/".repeat(18)), whole.clone(), "is too deep"),
        (&format!("other/{}all.yaml", "d/".repeat(18)), whole, "is too deep"),
    ];
    for (path, content, reason) in cases {
        let shop = Shop::empty();
        shop.put(&format!("out/{path}"), content);
        shop.scale(5, &[]).refused(73, reason);
        shop.scale(5, &[]).refused(73, "and may hold web: put it right, or name it in .krmignore");
        let top = path.split('/').next().unwrap();
        let name = path.split('/').nth(1).unwrap();
        shop.put(&format!("out/{top}/.krmignore"), format!("{name}\n"));
        shop.scale(5, &[]).expect(0);
    }
}

#[test]
fn what_certainly_holds_no_object_of_the_target_hinders_no_new_package() {
    let shop = Shop::empty();
    shop.put("out/dashboards/large.json", format!("\"{}\"", "x".repeat(5 << 20)));
    shop.put("out/apps/v1/a.yaml", "kind: Service\nmetadata: {name: a}\n");
    symlink("v1", shop.path("out/apps/latest")).unwrap();
    symlink("../README", shop.path("out/apps/readme.md")).unwrap();
    std::fs::create_dir(shop.path("out/lost+found")).unwrap();
    shop.scale(5, &[]).expect(0);
}

#[test]
fn a_commit_is_searched_by_the_same_rules() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["rm", "-q", "-r", "shop/web"]);
    shop.put("repo/shop/large.yaml", format!("name: api\n#{}\n", "x".repeat(5 << 20)));
    symlink("/srv/web.yaml", shop.path("repo/shop/web.yaml")).unwrap();
    git(&shop, "repo", &["add", "."]);
    git(&shop, "repo", &["commit", "-q", "-m", "A link"]);
    let repository = shop.path("repo").display().to_string();
    let run = shop.porch(&shop.intent(5), &["--git", &repository]);
    run.refused(73, "shop/web.yaml cannot be used: is a symbolic link");
    git(&shop, "repo", &["rm", "-q", "shop/web.yaml"]);
    // What certainly leads to no object that is not met.
    shop.put("repo/v1/a.yaml", "kind: Service\nmetadata: {name: a}\n");
    shop.put("repo/shop/api.yaml", "kind: Service\nmetadata: {name: a}\n");
    for (link, target) in [
        ("LICENSE", "../README"),
        ("old.yaml", "api.yaml"),
        ("README", "../v1/a.yaml"),
        ("gone.yaml", "x.yaml"),
    ] {
        symlink(target, shop.path(&format!("repo/shop/{link}"))).unwrap();
    }
    let commit = || {
        git(&shop, "repo", &["add", "."]);
        git(&shop, "repo", &["commit", "-q", "-m", "Links"]);
    };
    commit();
    shop.porch(&shop.intent(5), &["--git", &repository, "--dry-run"]).expect(0);
    symlink("v1", shop.path("repo/now")).unwrap();
    for (link, target) in [
        ("v1.2", "../v1"),
        ("web.yaml", "web.txt"),
        ("notes.txt", "/srv/notes.txt"),
        ("b.yaml", "LICENSE"),
        ("c.yaml", "../now/a.yaml"),
    ] {
        shop.put("repo/shop/web.txt", "kind: Deployment\n");
        symlink(target, shop.path(&format!("repo/shop/{link}"))).unwrap();
        commit();
        let run = shop.porch(&shop.intent(5), &["--git", &repository]);
        run.refused(73, &format!("shop/{link} cannot be used: is a symbolic link"));
        git(&shop, "repo", &["rm", "-q", &format!("shop/{link}")]);
    }
    commit();
    shop.porch(&shop.intent(5), &["--git", &repository]).expect(0);
}

#[test]
fn what_decides_a_number_elsewhere_in_a_commit_is_seen() {
    let Some(shop) = committed() else { return };
    let repository = shop.path("repo").display().to_string();
    let count = "replicas: [{name: web, count: 3}]";
    let commit = || {
        git(&shop, "repo", &["add", "-A"]);
        git(&shop, "repo", &["commit", "-q", "-m", "Elsewhere"]);
    };
    for (file, content, reason) in [
        (
            "shop/web/.argocd-source-web.yaml",
            format!("kustomize: {{{count}}}\n"),
            "ApplicationSource sets its replicas",
        ),
        (
            "envs/kustomization.yaml",
            format!("resources: [../shop/web]\n{count}\n"),
            "envs/kustomization.yaml:2 sets its replicas",
        ),
    ] {
        shop.put("repo/shop/web/kustomization.yaml", "resources: [deployment.yaml]\n");
        shop.put(&format!("repo/{file}"), content);
        commit();
        shop.porch(&shop.intent(5), &["--git", &repository]).refused(73, reason);
        std::fs::remove_file(shop.path(&format!("repo/{file}"))).unwrap();
    }
    commit();
    shop.porch(&shop.intent(5), &["--git", &repository]).expect(0);
}

#[test]
fn a_search_elsewhere_that_ends_early_is_told() {
    let shop = Shop::new();
    for n in 0..300 {
        shop.put(&format!("out/others/{n}.yaml"), "kind: Service\nmetadata: {name: a}\n");
    }
    let note = shop.scale(5, &[]).line()["note"].as_str().unwrap().to_owned();
    let told = "out has more than 256 directories and files; the rest was not searched for what else decides the number";
    assert_eq!(note, told);
}

#[test]
fn a_kustomization_that_is_a_link_in_a_commit_is_not_an_absent_one() {
    for place in ["shop/web/kustomization.yaml", "shop/kustomization.yaml"] {
        let Some(shop) = committed() else { return };
        shop.put("repo/common/kustomization.yaml", "kind: Kustomization\n");
        let link = shop.path(&format!("repo/{place}"));
        let _ = std::fs::remove_file(&link);
        symlink("../../common/kustomization.yaml", link).unwrap();
        git(&shop, "repo", &["add", "."]);
        git(&shop, "repo", &["commit", "-q", "-m", "A link"]);
        let repository = shop.path("repo").display().to_string();
        let run = shop.porch(&shop.intent(5), &["--git", &repository]);
        run.refused(
            73,
            &format!("{place} cannot be used: is no regular file (symbolic links are not followed)"),
        );
    }
}

#[test]
fn what_changes_around_a_package_is_seen_by_the_next_order_of_the_same_engine() {
    let shop = with_neighbours(20);
    let engine = Engine::new(Settings { durable: false, ..Settings::new(shop.path("out")) });
    let patience = Patience::new(Duration::from_secs(10), Duration::from_mins(1));
    let mut replicas = 2;
    let mut scale = || {
        replicas += 1;
        let text =
            format!(r#"{{"intent_type":"scaling","target":"web","namespace":"shop","replicas":{replicas}}}"#);
        let order = Order {
            intent: judge(text.as_bytes(), Policy::default()).unwrap(),
            provenance: Provenance::default(),
            came: None,
        };
        engine.apply(&order, &patience)
    };
    let (place, other) =
        (shop.path("out/shop/a0007/service.yaml"), AUTOSCALER.replace("name: web}", "name: api}"));
    for round in 0..40 {
        // In place, of one size, and on file systems with rough times at the same time.
        std::fs::write(&place, if round % 2 == 0 { &other } else { AUTOSCALER }).unwrap();
        if round % 4 < 2 {
            wait_until_older(&place, Duration::from_millis(80));
        }
        for _ in 0..2 {
            assert_eq!(scale().is_err(), round % 2 == 1, "round {round}");
        }
    }
    std::fs::write(&place, other).unwrap();
    wait_until_older(&place, Duration::from_millis(80));
    scale().unwrap();
    shop.put("out/shop/a0007/hpa.yaml", AUTOSCALER);
    scale().unwrap_err();
    std::fs::remove_file(shop.path("out/shop/a0007/hpa.yaml")).unwrap();
    scale().unwrap();
    std::fs::rename(shop.path("out/shop/a0007"), shop.path("out/shop/b")).unwrap();
    shop.put("out/shop/a0007/hpa.yaml", AUTOSCALER);
    scale().unwrap_err();
}

fn wait_until_older(path: &Path, age: Duration) {
    let changed = std::fs::metadata(path).unwrap().modified().unwrap();
    while changed.elapsed().unwrap_or_default() < age {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_search_elsewhere_in_a_commit_that_ends_early_is_told() {
    let Some(shop) = committed() else { return };
    for n in 0..300 {
        shop.put(&format!("repo/others/{n}.yaml"), "kind: Service\nmetadata: {name: a}\n");
    }
    git(&shop, "repo", &["add", "."]);
    git(&shop, "repo", &["commit", "-q", "-m", "Many"]);
    let repository = shop.path("repo").display().to_string();
    let note =
        shop.porch(&shop.intent(5), &["--git", &repository]).line()["note"].as_str().unwrap().to_owned();
    assert!(note.contains("has more than 256 directories and files; the rest was not searched"), "{note}");
}
