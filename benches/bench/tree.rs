//! A root with so many interface files, and a change of a tenth of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// How long each file is, in bytes.
const SIZE: usize = 200;

/// A root directory with `files` files `ifcfg-*`.
pub(crate) struct Tree {
    /// The root.
    pub(crate) root: PathBuf,
    /// The directory with the files.
    pub(crate) dir: PathBuf,
    /// How many there are.
    pub(crate) files: usize,
}

impl Tree {
    /// Makes it at `root`, which does not exist yet.
    pub(crate) fn make(root: &Path, files: usize) -> Result<Self> {
        let tree = Self {
            root: root.to_owned(),
            dir: root.join("etc/sysconfig/network-scripts"),
            files,
        };
        fs::create_dir_all(&tree.dir)?;
        fs::create_dir_all(tree.beside(""))?;
        for number in 0..files {
            fs::write(tree.path(number), content("eth", number, 1500))?;
        }
        Ok(tree)
    }

    /// Changes a tenth of the files: of a hundred, 8 are modified, 1 is added and 1 is removed.
    pub(crate) fn edit(&self) -> Result<()> {
        for number in (0..self.files).step_by(10) {
            if number % 100 == 90 {
                fs::remove_file(self.path(number))?;
            } else if number % 100 == 80 {
                fs::write(self.added(number), content("new", number, 1500))?;
            } else {
                fs::write(self.path(number), content("eth", number, 9000))?;
            }
        }
        Ok(())
    }

    /// Removes what [`Tree::edit`] adds.
    pub(crate) fn remove_added(&self) -> Result<()> {
        for number in (80..self.files).step_by(100) {
            fs::remove_file(self.added(number))?;
        }
        Ok(())
    }

    /// Fails unless everything is as it was made.
    pub(crate) fn check(&self) -> Result<()> {
        for number in 0..self.files {
            let path = self.path(number);
            let same = fs::read(&path)? == content("eth", number, 1500).as_bytes();
            ensure!(same, "{} was not restored", path.display());
        }
        let count = fs::read_dir(&self.dir)?.count();
        ensure!(
            count == self.files,
            "{count} files instead of {}",
            self.files
        );
        Ok(())
    }

    /// A place for what is not of the tree, on the same file system.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.root.join("beside").join(name)
    }

    fn path(&self, number: usize) -> PathBuf {
        self.dir.join(format!("ifcfg-eth{number}"))
    }

    fn added(&self, number: usize) -> PathBuf {
        self.dir.join(format!("ifcfg-new{number}"))
    }
}

fn content(device: &str, number: usize, mtu: u32) -> String {
    let (high, low) = (number / 256, number % 256);
    let mut text = format!(
        "# guest network {number}\nDEVICE={device}{number}\nTYPE=Ethernet\nBOOTPROTO=none\nONBOOT=yes\n\
         NM_CONTROLLED=no\nIPADDR=10.{high}.{low}.1\nPREFIX=24\nMTU={mtu}\n\
         HWADDR=52:54:00:00:{high:02x}:{low:02x}\n"
    );
    let rest = SIZE.saturating_sub(text.len() + 1);
    text.push_str(&"#".repeat(rest));
    text.push('\n');
    text
}
