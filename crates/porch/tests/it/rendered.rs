//! What the renderer makes of a directory below `out`, kept in the build's directory under a digest of the program's version and of
//! all that it reads: of some six hundred renderings of the table of field cases none is repeated while row and program are the same.

use crate::shop::{Shop, tree};
use conductor_crypto::{Sha256, sha256};
use conductor_testkit::{render, renderer_version};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const KEPT: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/rendered");
static VERSION: LazyLock<String> = LazyLock::new(|| renderer_version().unwrap());

/// The text of a directory's objects, or what the renderer complains of. A complaint is not kept: it may be the machine's.
pub(crate) fn rendered(shop: &Shop, dir: &str) -> Result<String, String> {
    let kept = kept(&shop.path("out"), dir);
    if let Ok(text) = fs::read_to_string(&kept) {
        return Ok(text);
    }
    let text = render(&shop.path("out").join(dir))?;
    fs::create_dir_all(KEPT).unwrap();
    let draft = tempfile::NamedTempFile::new_in(KEPT).unwrap();
    fs::write(draft.path(), &text).unwrap();
    draft.persist(kept).unwrap();
    Ok(text)
}

/// Where the rendering of a directory is kept.
fn kept(out: &Path, dir: &str) -> PathBuf {
    let below = tree(&out.join(dir));
    let (dir, read) = if is_closed(&below) { ("", below) } else { (dir, tree(out)) };
    let mut digest = Sha256::default();
    for part in [VERSION.as_str(), dir] {
        digest.update(&sha256(part.as_bytes()).0);
    }
    for (path, (mode, content)) in read {
        digest.update(&mode.to_le_bytes());
        digest.update(&sha256(path.as_bytes()).0);
        digest.update(&sha256(&content).0);
    }
    Path::new(KEPT).join(format!("{}.yaml", digest.finish()))
}

/// Whether nothing in these files can lead out of their directory: no path goes up or begins at the root, and none is escaped.
fn is_closed(files: &BTreeMap<String, (u32, Vec<u8>)>) -> bool {
    let leads_out = |content: &[u8]| {
        content.contains(&b'\\') || content.starts_with(b"/") || content.windows(2).any(|pair| pair == b"..")
    };
    !files.values().any(|(_, content)| leads_out(content))
}

#[test]
fn a_rendering_is_kept_under_all_that_it_is_made_of() {
    let shop = Shop::empty();
    let key = |dir: &str| kept(&shop.path("out"), dir);
    shop.put("out/base/kustomization.yaml", "resources: [web.yaml]\n");
    shop.put("out/base/web.yaml", "number: 1\n");
    shop.put("out/over/kustomization.yaml", "resources: [../base]\n");
    let (base, over) = (key("base"), key("over"));
    assert_ne!(base, over);
    shop.put("out/over/other.yaml", "");
    assert_eq!(key("base"), base, "what it does not reach");
    let over_and_other = key("over");
    assert_ne!(over_and_other, over, "another file");
    shop.put("out/base/web.yaml", "number: 2\n");
    assert_ne!(key("base"), base, "a file's bytes");
    assert_ne!(key("over"), over_and_other, "a file's bytes, by way of another directory");
    let twin = Shop::empty();
    twin.put("out/elsewhere/kustomization.yaml", "resources: [web.yaml]\n");
    twin.put("out/elsewhere/web.yaml", "number: 1\n");
    assert_eq!(kept(&twin.path("out"), "elsewhere"), base, "wherever it is");
}
