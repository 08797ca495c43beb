//! What is around a package: beside one that is edited a bounded search, before one that is made a whole one.

use crate::git::{committed, git};
use crate::shop::Shop;
use std::os::unix::fs::symlink;

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
    assert!(note.contains("only 256 directories and files of"), "{note}");
    assert!(note.contains("were searched for another web"), "{note}");
    shop.put("out/shop/scaling/web.yaml", AUTOSCALER);
    shop.scale(6, &[]).refused(73, "HorizontalPodAutoscaler h sets its replicas");
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
    git(&shop, "repo", &["commit", "-q", "-m", "No link"]);
    shop.porch(&shop.intent(5), &["--git", &repository]).expect(0);
}
