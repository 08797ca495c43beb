//! Dedicated file systems to measure on: the machine's own may hide every difference (some have no journal).

use crate::progress::say;
use std::io;
use std::path::Path;
use std::process::Command;

/// A mounted file system, unmounted when dropped.
pub(super) struct Mount {
    pub(super) label: &'static str,
    place: tempfile::TempDir,
    image: Option<tempfile::NamedTempFile>,
}

impl Mount {
    /// A journaled ext4 on a loop image.
    pub(super) fn ext4() -> io::Result<Option<Self>> {
        let image = tempfile::NamedTempFile::new()?;
        image.as_file().set_len(3 << 30)?;
        let formatted = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image.path()).status();
        if !formatted.is_ok_and(|status| status.success()) {
            say("not run: journaled ext4 (mkfs.ext4 is missing)");
            return Ok(None);
        }
        let mut words = vec!["-o".to_owned(), "loop".to_owned()];
        words.push(image.path().display().to_string());
        Self::mounted("ext4", &words, Some(image))
    }

    /// A tmpfs of that many gigabytes.
    pub(super) fn tmpfs(gigabytes: u32) -> io::Result<Option<Self>> {
        let options = format!("size={gigabytes}g,nr_inodes=3m");
        let words = ["-t", "tmpfs", "-o", &options, "tmpfs"].map(str::to_owned);
        Self::mounted("tmpfs", &words, None)
    }

    fn mounted(
        label: &'static str,
        words: &[String],
        image: Option<tempfile::NamedTempFile>,
    ) -> io::Result<Option<Self>> {
        let place = tempfile::tempdir()?;
        let mounted = Command::new("mount").args(words).arg(place.path()).status()?;
        if !mounted.success() {
            say(&format!("not run: {label} (mounting needs root)"));
            return Ok(None);
        }
        Ok(Some(Self { label, place, image }))
    }

    pub(super) fn path(&self) -> &Path {
        self.place.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.place.path()).status();
        drop(self.image.take());
    }
}
