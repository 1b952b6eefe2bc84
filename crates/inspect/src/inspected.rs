//! An image with everything that is known about it.

use image::DiskImage;
use image::cpio::Archive;
use image::osv::OsvImage;
use manifest::Manifest;

use crate::contents::Contents;
use crate::error::Error;
use crate::infer::infer;
use crate::sizes::{PartSize, sizes};

/// An image, or what an image of a release would be.
#[derive(Debug)]
pub struct Inspected<'a> {
    /// The image, if it is there.
    pub image: Option<&'a DiskImage>,
    /// The image, if it is there and boots OSv.
    pub osv: Option<&'a OsvImage>,
    /// Its files.
    pub contents: Contents<'a>,
    /// What it is made of.
    pub manifest: Manifest,
    /// Whether that was made out from the files, because the image does not say it.
    pub inferred: bool,
    /// What its parts weigh.
    pub sizes: Vec<PartSize>,
}

impl<'a> Inspected<'a> {
    /// Looks into an image.
    ///
    /// # Errors
    /// Its root archive or its manifest is damaged.
    pub fn of_image(image: &'a DiskImage) -> Result<Self, Error> {
        let contents = Contents::of_image(image)?;
        let said = image.read_manifest()?;
        let inferred = said.is_none();
        let manifest = match said {
            Some(manifest) => manifest,
            None => infer(&contents, &image.cmdline)?,
        };
        Ok(Self {
            image: Some(image),
            osv: None,
            sizes: sizes(&manifest, &contents, Some(image)),
            contents,
            manifest,
            inferred,
        })
    }

    /// Looks into an image that boots OSv. Its disk is not compared with others.
    ///
    /// # Errors
    /// Its root or its manifest is damaged.
    pub fn of_osv(image: &'a OsvImage) -> Result<Self, Error> {
        let contents = Contents::of_osv(image)?;
        let said = image.read_manifest()?;
        let inferred = said.is_none();
        let manifest = match said {
            Some(manifest) => manifest,
            None => infer(&contents, &image.cmdline)?,
        };
        Ok(Self {
            image: None,
            osv: Some(image),
            sizes: sizes(&manifest, &contents, None),
            contents,
            manifest,
            inferred,
        })
    }

    /// Looks into a plan.
    ///
    /// # Errors
    /// A file of the host cannot be read.
    pub fn of_plan(archive: &'a Archive<'a>, manifest: Manifest) -> Result<Self, Error> {
        let contents = Contents::of_plan(archive)?;
        Ok(Self {
            image: None,
            osv: None,
            sizes: sizes(&manifest, &contents, None),
            contents,
            manifest,
            inferred: false,
        })
    }
}
