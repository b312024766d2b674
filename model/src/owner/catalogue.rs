//! The configurations that are searched.

use super::{Config, Faults, Role};
use crate::catalogue::Extent;
use crate::defences::{Defence, Defences};
use Role::{Caller, Creator, Fork, Sweep};

const NONE: Faults = Faults { crash: 0, refused: 0 };

fn config(roles: &[Role], faults: Faults) -> Config {
    Config { roles: roles.to_vec(), faults, defences: Defences::ALL }
}

/// What is searched.
#[must_use]
pub fn configs(extent: Extent) -> Vec<Config> {
    let small = vec![
        config(&[Caller, Sweep, Creator], Faults { crash: 1, refused: 1 }),
        config(&[Caller, Sweep, Fork, Fork], Faults { crash: 1, refused: 1 }),
        config(&[Caller, Caller, Creator], Faults { crash: 1, refused: 1 }),
        config(&[Caller, Caller, Fork], Faults { refused: 1, ..NONE }),
    ];
    let middling = vec![
        config(&[Caller, Caller, Sweep, Creator], Faults { crash: 1, refused: 1 }),
        config(&[Caller, Caller, Sweep, Fork, Fork], Faults { refused: 1, ..NONE }),
        config(&[Caller, Caller, Sweep, Creator, Fork], Faults { crash: 1, ..NONE }),
    ];
    match extent {
        Extent::Short => small,
        Extent::Usual => [small, middling].concat(),
        Extent::Long => [small, middling, large()].concat(),
    }
}

fn large() -> Vec<Config> {
    vec![
        config(&[Caller, Caller, Caller, Creator], Faults { crash: 1, refused: 1 }),
        config(&[Caller, Caller, Sweep, Creator, Fork], Faults { crash: 1, refused: 1 }),
        config(&[Caller, Sweep, Creator, Fork, Fork], Faults { crash: 1, refused: 2 }),
    ]
}

/// Where to look for what a defence is for: first where it shows soonest, then everywhere; nowhere, if it is one of another model.
#[must_use]
pub fn showing(defence: Defence) -> Vec<Config> {
    let Some(soonest) = soonest(defence) else { return Vec::new() };
    let others = configs(Extent::Usual).into_iter().filter(|config| *config != soonest);
    let mut configs = vec![soonest.clone()];
    configs.extend(others);
    for config in &mut configs {
        config.defences = config.defences.without(defence);
    }
    configs
}

fn soonest(defence: Defence) -> Option<Config> {
    Some(match defence {
        Defence::ForkLocksOrigin | Defence::LooksAgain => {
            config(&[Caller, Sweep, Fork, Fork], Faults { crash: 1, refused: 1 })
        }
        Defence::CreationWaits => config(&[Caller, Sweep, Creator], Faults { crash: 1, refused: 1 }),
        Defence::EndsUnderLock
        | Defence::AsksUnderLock
        | Defence::EndedHidesNothing
        | Defence::RegistersOnce
        | Defence::OwnerRowStays => config(&[Caller, Caller, Creator], Faults { crash: 1, refused: 1 }),
        _ => return None,
    })
}
