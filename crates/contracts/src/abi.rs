//! Types of the contracts' interfaces, from the committed artifacts.
//!
//! Each contract has a module with its calls, events, errors and creation code. Structs that several
//! contracts share exist once in each module; [`crate::points`] and [`crate::seats`] convert to all.
#![allow(missing_docs, clippy::too_many_arguments)]

use alloy_sol_types::sol;

sol!(
    #[derive(Debug)]
    Registry,
    "../../contracts/artifacts/Registry.json"
);
sol!(
    #[derive(Debug)]
    Slasher,
    "../../contracts/artifacts/Slasher.json"
);
sol!(
    #[derive(Debug)]
    LightClient,
    "../../contracts/artifacts/LightClient.json"
);
sol!(
    #[derive(Debug)]
    ValidatorRegister,
    "../../contracts/artifacts/ValidatorRegister.json"
);
sol!(
    #[derive(Debug)]
    Inbox,
    "../../contracts/artifacts/Inbox.json"
);
sol!(
    #[derive(Debug)]
    EigenLayerAdapter,
    "../../contracts/artifacts/EigenLayerAdapter.json"
);
