//! Hostile packages: every one is refused by name and stays byte for byte unchanged, and nothing outside is touched.

use crate::shop::{Run, Shop};
use std::os::unix::fs::symlink;

/// The check of each case: the file is unchanged, and nothing unfinished is left.
#[track_caller]
fn refused_untouched(shop: &Shop, code: i32, reason: &str) {
    let before = shop.tree(".");
    shop.scale(5, &[]).refused(code, reason);
    let mut after = shop.tree(".");
    after.retain(|path, _| !path.starts_with("intent-"));
    let mut before = before;
    before.retain(|path, _| !path.starts_with("intent-"));
    assert_eq!(after, before, "{reason}");
}

fn deployment(spec: &str) -> String {
    format!("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n{spec}")
}

/// Levels of nine references each to the one before.
fn shared(levels: usize) -> String {
    (1..levels).fold("a0: &a0 lol\n".to_owned(), |text, level| {
        let reference = format!("*a{}, ", level - 1).repeat(9);
        format!("{text}a{level}: &a{level} [{reference}]\n")
    })
}

#[test]
fn yaml_that_cannot_be_edited_safely_is_refused_by_name() {
    let deep = "[".repeat(200);
    let wide = "1,".repeat(300_000);
    let good = deployment("  replicas: 2\n");
    let laughs = shared(30);
    let cases = [
        (deployment("  replicas: 2\n  replicas: 3\n"), "has the key 'replicas' twice in one mapping"),
        (deployment("\treplicas: 2\n"), "is not YAML at line"),
        (deployment(&format!("  replicas: 2\n  x: {deep}\n")), "is nested deeper than 100"),
        (deployment(&format!("  replicas: 2\n  x: [{wide}]\n")), "has more than 200000 nodes"),
        (deployment(&format!("  replicas: 2\n#{}\n", "x".repeat(5 << 20))), "is larger than 4194304 bytes"),
        (deployment("  replicas: '2'\n"), "is not a plain decimal number"),
        (deployment("  replicas: 0x2\n"), "is not a plain decimal number"),
        (deployment("  replicas: 2 # kpt-set: ${count}\n"), "kpt setter"),
        (deployment("  replicas: &n 2\n  other: *n\n"), "shared through an anchor"),
        (deployment("  <<: {paused: true}\n  replicas: 2\n"), "merge keys"),
        (deployment("  - replicas: 2\n"), "no mapping"),
        (format!("{good}---\n{good}"), "is in it twice"),
        (
            format!(
                "{good}---\nkind: HorizontalPodAutoscaler\nspec:\n  scaleTargetRef:\n    kind: Deployment\n    name: web\n"
            ),
            "HorizontalPodAutoscaler sets its replicas",
        ),
        (
            format!("{good}---\nkind: ScaledObject\nspec:\n  scaleTargetRef:\n    name: web\n"),
            "ScaledObject sets its replicas",
        ),
        (format!("{laughs}{good}"), "has an alias at line 6 that stands for itself, or for more"),
        (
            format!(
                "{good}---\nx: &s\n  note: {}\n  scaleTargetRef: {{name: web}}\nkind: ScaledObject\nspec: *s\n",
                "x".repeat(2_000)
            ),
            "ScaledObject sets its replicas",
        ),
    ];
    for (content, reason) in cases {
        let shop = Shop::empty();
        shop.put("out/shop/web/deployment.yaml", content);
        refused_untouched(&shop, 73, reason);
    }
    let shop = Shop::empty();
    shop.put("out/shop/web/deployment.yaml", [good.as_bytes(), b"# \xff\n"].concat());
    refused_untouched(&shop, 73, "is not UTF-8");
    let shop = Shop::new();
    shop.put("out/shop/web/kustomization.yaml", "replicas:\n  - name: web\n    count: 4\n");
    refused_untouched(&shop, 73, "holds Deployment web, but no kustomization lists that file");
    // The patch stands elsewhere, and is long.
    let shop = Shop::new();
    let patch = "apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: web}\n  spec: {replicas: 3}";
    let patched = format!(
        "x: &p |\n  {patch}\n  # {}\nresources: [deployment.yaml]\npatches:\n  - patch: *p\n",
        "x".repeat(2_000)
    );
    shop.put("out/shop/web/kustomization.yaml", patched);
    refused_untouched(&shop, 73, "shared through an anchor");
}

#[test]
fn what_is_odd_but_clear_is_edited() {
    let shared = shared(4);
    let others = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n---\n";
    let elsewhere = deployment("  replicas: 9\n").replace("name: web", "name: web\n  namespace: other");
    for prefix in
        [shared.as_str(), others, &format!("{elsewhere}---\n"), "# web\n---\n# web\n---\n", "\u{feff}"]
    {
        for (spec, edited) in [
            ("  replicas: 2\n", "  replicas: 5\n"),
            ("  replicas:    2 # two\r\n", "  replicas:    5 # two\r\n"),
            ("  {replicas: 2, paused: false}\n", "  {replicas: 5, paused: false}\n"),
            ("  paused: false\n", "  replicas: 5\n  paused: false\n"),
        ] {
            let shop = Shop::empty();
            shop.put("out/shop/web/all.yml", format!("{prefix}{}", deployment(spec)));
            shop.scale(5, &[]).line();
            assert_eq!(shop.read("out/shop/web/all.yml"), format!("{prefix}{}", deployment(edited)));
        }
    }
}

#[test]
fn links_and_other_things_that_are_no_files_are_never_followed_or_replaced() {
    let owner = deployment("  replicas: 2\n");
    // The package is a link.
    let shop = Shop::empty();
    shop.put("elsewhere/deployment.yaml", &owner);
    std::fs::create_dir(shop.path("out/shop")).unwrap();
    symlink("../../elsewhere", shop.path("out/shop/web")).unwrap();
    refused_untouched(&shop, 73, "symbolic links are not followed");
    // Its namespace is a link.
    let shop = Shop::empty();
    shop.put("elsewhere/web/deployment.yaml", &owner);
    symlink("../elsewhere", shop.path("out/shop")).unwrap();
    refused_untouched(&shop, 73, "symbolic links are not followed");
    // The file is a link: it is not followed, and no package is made beside it.
    let shop = Shop::empty();
    shop.put("elsewhere.yaml", &owner);
    std::fs::create_dir_all(shop.path("out/shop/web")).unwrap();
    symlink("../../../elsewhere.yaml", shop.path("out/shop/web/deployment.yaml")).unwrap();
    refused_untouched(&shop, 73, "it holds deployment.yaml, no Deployment");
    assert_eq!(shop.read("elsewhere.yaml"), owner);
    assert!(shop.path("out/shop/web/deployment.yaml").is_symlink());
    // A pipe without a writer does not block.
    let shop = Shop::new();
    rustix::fs::mkfifoat(rustix::fs::CWD, shop.path("out/shop/web/pipe.yaml"), 0o600.into()).unwrap();
    shop.scale(5, &[]).line();
    assert!(shop.read("out/shop/web/deployment.yaml").contains("replicas: 5 "));
    // A link under the unfinished name is removed and not written through.
    let shop = Shop::new();
    shop.put("victim", "precious");
    symlink("../../../victim", shop.path("out/shop/web/.porch-tmp")).unwrap();
    shop.scale(5, &[]).line();
    assert_eq!(shop.read("victim"), "precious");
    assert!(!shop.path("out/shop/web/.porch-tmp").exists());
    // A base that contains a link is not copied in part.
    let shop = Shop::new();
    std::fs::rename(shop.path("out/shop/web"), shop.path("base")).unwrap();
    symlink("/etc/hostname", shop.path("base/host")).unwrap();
    shop.scale(5, &["--base", "base"]).refused(73, "is neither a file nor a directory");
    assert!(!shop.path("out/shop/web").exists());
}

#[test]
fn a_package_too_large_to_be_one_is_refused() {
    let shop = Shop::new();
    for number in 0..2_001 {
        shop.put(&format!("out/shop/web/many/{number}.txt"), "");
    }
    refused_untouched(&shop, 73, "has more than 2000 files");
    let shop = Shop::new();
    shop.put(&format!("out/shop/web/{}/deep.yaml", "d/".repeat(20)), "web");
    refused_untouched(&shop, 73, "is deeper than 16 directories");
}

/// A kustomization with lists of lines below keys.
fn kustomization(parts: &[(&str, String)]) -> String {
    let parts = parts.iter().map(|(key, lines)| format!("{key}:\n{lines}"));
    format!("kind: Kustomization\n{}", parts.collect::<String>())
}

#[test]
fn a_package_that_names_a_file_again_and_again_is_refused_before_it_fills_the_memory() {
    let many: String = (0..200)
        .map(|n| deployment("  replicas: 2\n").replace("web", &format!("web-{n}")) + "---\n")
        .collect();
    let all = format!("{many}{}", deployment("  replicas: 2\n"));
    let often = "- all.yaml\n".repeat(1_000);
    let patches =
        "- patch: '{kind: Deployment, apiVersion: apps/v1, metadata: {name: web}}'\n".repeat(20_000);
    let labels: String = (0..20_000).map(|n| ["  label-", &n.to_string(), ": web\n"].concat()).collect();
    let counts = "- {name: other, count: 3}\n".repeat(20_000);
    let prefix = "x".repeat(1 << 20);
    let one = || ("resources", "- all.yaml\n".to_owned());
    for kustomizations in [
        vec![kustomization(&[("resources", often.clone())])],
        // Each alone is within the bound.
        vec![kustomization(&[("resources", "- ../all.yaml\n".repeat(100))]); 8],
        vec![kustomization(&[one(), ("patches", patches)])],
        vec![kustomization(&[one(), ("commonLabels", labels)])],
        vec![kustomization(&[one(), ("replicas", counts)])],
        vec![kustomization(&[one(), ("namePrefix", format!("  {prefix}\n"))])],
    ] {
        let shop = Shop::empty();
        shop.put("out/shop/web/all.yaml", &all);
        let is_one = kustomizations.len() == 1;
        for (n, text) in kustomizations.iter().enumerate() {
            let dir = if is_one { String::new() } else { format!("{n}/") };
            shop.put(&format!("out/shop/web/{dir}kustomization.yaml"), text);
        }
        refused_untouched(&shop, 73, "leads to more than 32 MiB of names, objects and settings");
    }
}

#[test]
fn what_the_kustomizations_above_a_package_cost_is_counted_together() {
    let many: String = (0..200)
        .map(|n| deployment("  replicas: 2\n").replace("web", &format!("web-{n}")) + "---\n")
        .collect();
    let shop = Shop::empty();
    shop.put("out/a/b/c/d/web/all.yaml", format!("{many}{}", deployment("  replicas: 2\n")));
    let routes = shop.put("routes.toml", "[[route]]\npackage = \"a/b/c/d/web\"\n");
    // Each alone is within the bound.
    for above in ["", "a/", "a/b/", "a/b/c/", "a/b/c/d/"] {
        let file = "a/b/c/d/web/all.yaml".strip_prefix(above).unwrap();
        let often = format!("- {file}\n").repeat(100);
        shop.put(&format!("out/{above}kustomization.yaml"), kustomization(&[("resources", often)]));
    }
    let run = shop.porch(&shop.intent(5), &["--routes", routes.to_str().unwrap()]);
    run.refused(73, "leads to more than 32 MiB of names, objects and settings");
}

#[test]
fn directories_of_deployers_are_looked_at_once_and_not_without_bound() {
    let deployer = |dir: &str| {
        format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: k}}\nspec:\n  path: {dir}\n  \
             patches: [{{target: {{name: .*}}, patch: '[{{op: add, path: /spec/replicas, value: 3}}]'}}]\n---\n"
        )
    };
    let shop = Shop::new();
    // Building it for each of them would cost several times what may be spent on all.
    let long = format!("resources: []\ncommonAnnotations: {{note: {}}}\n", "x".repeat(400_000));
    shop.put("out/edge/kustomization.yaml", long);
    shop.put("out/clusters/same.yaml", deployer("./edge").repeat(3_000));
    shop.porch(&shop.intent(5), &[]).expect(0);
    // What is beyond the bound may be of any file.
    let others: String = (0..1_001).map(|number| deployer(&format!("./edge/{number}"))).collect();
    shop.put("out/clusters/others.yaml", others);
    shop.porch(&shop.intent(6), &[]).expect(73);
}

#[test]
fn a_kustomization_that_is_there_and_cannot_be_read_is_not_an_absent_one() {
    for place in ["shop/web", "shop", "."] {
        let shop = Shop::new();
        shop.put(&format!("out/{place}/kustomization.yaml"), format!("#{}\n", "x".repeat(5 << 20)));
        refused_untouched(&shop, 73, "kustomization.yaml cannot be used: is larger than 4194304 bytes");
        let shop = Shop::new();
        let pipe = shop.path(&format!("out/{place}/kustomization.yaml"));
        let _ = std::fs::remove_file(&pipe);
        rustix::fs::mkfifoat(rustix::fs::CWD, pipe, 0o600.into()).unwrap();
        shop.scale(5, &[]).refused(73, "kustomization.yaml cannot be used: is no regular file");
    }
    let shop = Shop::new();
    std::fs::create_dir(shop.path("out/shop/Kustomization")).unwrap();
    shop.scale(5, &[]).line();
}

#[test]
fn nested_files_and_hidden_ones() {
    let shop = Shop::empty();
    shop.put("out/shop/web/apps/front/web.yaml", deployment("  replicas: 2\n"));
    shop.put("out/shop/web/.git/web.yaml", deployment("  replicas: 3\n"));
    shop.put("out/shop/web/.cache/web.yaml", deployment("  replicas: 3\n"));
    let line = shop.scale(5, &[]).line();
    assert_eq!(line["file"], "apps/front/web.yaml");
    assert!(shop.read("out/shop/web/.git/web.yaml").ends_with("replicas: 3\n"));
    assert!(shop.read("out/shop/web/apps/front/web.yaml").ends_with("replicas: 5\n"));
}

#[test]
fn a_kptfile_of_others_survives_and_one_that_is_none_is_refused() {
    let full = "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: web\nupstream:\n  type: git\nupstreamLock: {}\n\
                pipeline:\n  mutators: []\ninventory:\n  namespace: shop\nstatus: {}\nfromTheFuture: kept\n";
    let shop = Shop::new();
    shop.put("out/shop/web/Kptfile", full);
    shop.scale(5, &[]).line();
    assert_eq!(shop.read("out/shop/web/Kptfile"), full);
    let constrained = r#","constraints":{"kpt_package_name":"web"}"#;
    let intent = shop.intent_for("web", 6, constrained);
    shop.porch(&intent, &[]).line();
    // The output directory itself may be the package; then its Kptfile names it.
    let root = |replicas: u32| {
        let intent = shop.intent_for("web", replicas, constrained);
        Run::of(&shop.command(&intent, &["-out", "out/shop/web"]).output().unwrap())
    };
    root(7).line();
    shop.put("out/shop/web/Kptfile", full.replace("name: web", "name: other"));
    root(8).refused(77, "names the package 'web'");
    shop.put("out/shop/web/Kptfile", "kind: Something\n");
    root(8).refused(73, "is not a Kptfile");
}

#[test]
fn a_kptfile_or_a_function_s_configuration_that_cannot_be_read_is_no_silent_consent() {
    let kptfile = "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata: {name: web}\npipeline:\n  mutators:\n  - image: \
                   starlark:v0.4\n    configPath: scale.yaml\n";
    let large = || format!("#{}\n", "x".repeat(5 << 20));
    for place in ["shop/web/Kptfile", "shop/Kptfile", "shop/web/scale.yaml"] {
        let with = |content: String| {
            let shop = Shop::new();
            shop.put("out/shop/web/Kptfile", kptfile);
            shop.put(&format!("out/{place}"), content);
            shop
        };
        refused_untouched(
            &with(large()),
            73,
            &format!("{place} cannot be used: is larger than 4194304 bytes"),
        );
        // kpt reads UTF-16 too.
        let shop = with(String::new());
        let utf16: Vec<u8> = "\u{feff}kind: Kptfile\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        shop.put(&format!("out/{place}"), utf16);
        refused_untouched(&shop, 73, &format!("{place} cannot be used: is not UTF-8"));
        let shop = with(String::new());
        let pipe = shop.path(&format!("out/{place}"));
        std::fs::remove_file(&pipe).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, pipe, 0o600.into()).unwrap();
        shop.scale(5, &[]).refused(73, &format!("{place} cannot be used: is no regular file"));
    }
}
