//! Our own kernel: it reads the release's files from an archive and makes out the start at boot.

use std::path::Path;

use boot_contract::init;
use image::{ImageError, ImageSpec, Plan, Progress, Report};
use release::{GuestPath, TreeEntry, tree};

use crate::network::{Address, Network};
use crate::{Base, Content, Disk, Error, Family, Layout};

/// The kernel and boot stages that are part of this program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unibeam;

impl Base for Unibeam {
    fn family(&self) -> Family {
        Family::Unibeam
    }

    fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    fn lay_out(&self, content: Content<'_>) -> Result<Layout, Error> {
        let settings = content.settings;
        if settings.cookie.is_some() {
            return Err(Error::NotPossible {
                what: "--cookie",
                base: self.family().name(),
                remedy: "use `-setcookie` in vm.args, or `--env RELEASE_COOKIE=COOKIE` for a release of mix",
            });
        }
        if settings.launch.is_some() {
            return Err(Error::NotPossible {
                what: "--osv-launch",
                base: self.family().name(),
                remedy: "leave it out, or name OSv with --base",
            });
        }
        let words = network_words(&settings.network).into_iter();
        let words = words.chain(settings.kernel_words.iter().cloned());
        let plan = content.start.plan.emit().into_bytes();
        let init = GuestPath::new(init::PATH).map(|path| TreeEntry::bytes(path, plan));
        let root = [content.tree, content.libraries, init.into_iter().collect()].concat();
        Ok(Layout {
            root: tree::merge(root),
            command_line: words.collect::<Vec<_>>().join(" "),
            notes: Vec::new(),
        })
    }

    fn plan(&self, disk: &Disk<'_>) -> Result<Plan, ImageError> {
        image::plan(&spec(disk))
    }

    fn assemble(
        &self,
        disk: &Disk<'_>,
        output: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Report, ImageError> {
        image::assemble(&spec(disk), output, progress)
    }
}

/// The network in words of the kernel (`boot_contract::cmdline`); what it does by itself needs none.
fn network_words(network: &Network) -> Vec<String> {
    let mut words = Vec::new();
    if network.address != Address::Dhcp {
        words.push(format!("ip={}", network.address));
    }
    words.extend(network.gateway.map(|gateway| format!("gw={gateway}")));
    let dns: Vec<_> = network.dns.iter().map(ToString::to_string).collect();
    if !dns.is_empty() {
        words.push(format!("dns={}", dns.join(",")));
    }
    words
}

fn spec<'a>(disk: &Disk<'a>) -> ImageSpec<'a> {
    ImageSpec {
        kernel: boot_images::KERNEL_ELF,
        boot_sector: boot_images::BOOT_SECTOR,
        bios_stage: boot_images::BIOS_STAGE,
        cmdline: disk.command_line,
        root: disk.root,
        manifest: Some(disk.manifest),
        mtime: disk.mtime,
        disk: disk.spec,
    }
}

#[cfg(test)]
mod tests {
    use super::network_words;
    use crate::network::Network;

    #[test]
    fn a_network_is_told_in_words_of_the_kernel() {
        assert!(network_words(&Network::default()).is_empty());
        let network = Network {
            address: "10.0.0.2/24".parse().unwrap(),
            gateway: Some([10, 0, 0, 1].into()),
            dns: vec![[10, 0, 0, 3].into(), [9, 9, 9, 9].into()],
        };
        let words = ["ip=10.0.0.2/24", "gw=10.0.0.1", "dns=10.0.0.3,9.9.9.9"];
        assert_eq!(network_words(&network), words);
    }
}
