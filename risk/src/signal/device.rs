//! The device: ln [ p(seen | attacker) / p(seen | subject) ]. A proved key is strong evidence, a cookie can be copied and is clipped at −1.
//!
//! A new device: ln( 0.995 / ((0.04 n + 1) / (n + 1.5)) ) for n learned events: about one device in 25 events is new for a genuine subject.

use countersign_sdk_types::Signal;

use crate::{Baseline, DevicePresented, EvidenceItem, Sighting};

pub(crate) fn observe(sighting: &Sighting, baseline: &Baseline) -> Option<EvidenceItem> {
    let n = baseline.weight();
    let unseen = libm::log(0.995 / ((0.04 * n + 1.0) / (n + 1.5))).clamp(0.0, 3.0);
    let key = |device: crate::Keyed| device.0.to_le_bytes();
    Some(match sighting.device {
        DevicePresented::Key(device) if baseline.knows_device(device) => {
            EvidenceItem::new(Signal::Device, -5.2, &key(device), "the device proved a key that the subject has used before")
        }
        DevicePresented::Cookie(device) if baseline.knows_device(device) => {
            EvidenceItem::new(Signal::Device, -1.0, &key(device), "the device is one that the subject has used before")
        }
        DevicePresented::Key(device) | DevicePresented::Cookie(device) => {
            EvidenceItem::new(Signal::Device, unseen, &key(device), "the device is new to the subject")
        }
        DevicePresented::None if baseline.device_count() > 0 => {
            EvidenceItem::new(Signal::Device, unseen, &[], "the device does not show itself, though the subject's devices do")
        }
        DevicePresented::None => EvidenceItem::new(Signal::Device, 0.0, &[], "no device is known"),
    })
}
