//! Amazon CloudFront in front of the origin: the infrastructure that puts it there, and the check
//! that what stands there does its work.
//!
//! Nothing here runs while streams are delivered: [`template`] only writes text, [`doctor`] only
//! asks a running CDN.

pub mod doctor;
pub mod template;
