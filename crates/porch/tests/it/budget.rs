//! What one order may hold in memory: nodes of YAML, objects and text.

use crate::shop::{Run, Shop};
use std::process::Command;

const WEB: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 2\n";

/// A manifest of 400 KB that mentions `web` and has almost as many nodes as one file may have.
fn full_of_nodes() -> String {
    format!("apiVersion: v1\nkind: X\nmetadata: {{name: x}}\nitems: [web, {}1]\n", "1,".repeat(199_000))
}

/// Runs the program with a limit on its address space.
fn scale_within(shop: &Shop, mebibytes: usize) -> Run {
    let intent = shop.intent(5);
    let script = format!("ulimit -v {}; exec \"$0\" -intent \"$1\" -out out", mebibytes << 10);
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_porch")]).arg(intent).current_dir(shop.path("."));
    Run::of(&command.output().unwrap())
}

#[test]
fn many_files_full_of_nodes_take_no_more_memory_than_one() {
    let shop = Shop::empty();
    shop.put("out/shop/web/deployment.yaml", WEB);
    for number in 0..10 {
        shop.put(&format!("out/shop/web/x{number}.yaml"), full_of_nodes());
        shop.put(&format!("out/shop/y{number}.yaml"), full_of_nodes());
    }
    scale_within(&shop, 160).expect(0);
    assert!(shop.read("out/shop/web/deployment.yaml").ends_with("replicas: 5\n"));
}

#[test]
fn a_package_whose_kustomizations_need_too_many_nodes_is_refused() {
    let shop = Shop::empty();
    shop.put("out/shop/web/deployment.yaml", WEB);
    let paths = "- path: patch0.yaml\n- path: patch1.yaml\n- path: patch2.yaml\n";
    let kustomization = format!("resources: [deployment.yaml]\npatches:\n{paths}");
    shop.put("out/shop/web/kustomization.yaml", kustomization);
    for number in 0..3 {
        let text = format!("{WEB}  x: [{}1]\n", "1,".repeat(199_000)).replace("  replicas: 2\n", "");
        shop.put(&format!("out/shop/web/patch{number}.yaml"), text);
    }
    let before = shop.tree("out");
    scale_within(&shop, 256).refused(
        73,
        "patch2.yaml cannot be used: has, with the files that it is read with, more than 400000 nodes",
    );
    assert_eq!(shop.tree("out"), before);
}

#[test]
fn a_package_of_too_many_objects_is_refused() {
    let shop = Shop::empty();
    shop.put("out/shop/web/deployment.yaml", WEB);
    let items = "- {kind: A, metadata: {name: web}}\n".repeat(20_000);
    shop.put("out/shop/web/list.yaml", format!("apiVersion: v1\nkind: List\nitems:\n{items}"));
    scale_within(&shop, 256).refused(73, "more than 20000 objects");
}

#[test]
fn the_text_that_a_package_and_a_search_hold_is_bounded() {
    let text = format!(
        "# web\nkind: X\nmetadata: {{name: x}}\nd: |\n{}",
        format!("  {}\n", "x".repeat(97)).repeat(41_000)
    );
    let shop = Shop::empty();
    shop.put("out/shop/web/deployment.yaml", WEB);
    for number in 0..5 {
        shop.put(&format!("out/shop/y{number}.yaml"), &text);
    }
    let line = shop.scale(5, &[]).line();
    let note = line["note"].as_str().unwrap();
    assert!(note.contains("more than 16 MiB of manifests that mention web"), "{note}");
    for number in 0..9 {
        shop.put(&format!("out/shop/web/x{number}.yaml"), &text);
    }
    shop.scale(6, &[]).refused(73, "is larger than 33554432 bytes");
}
