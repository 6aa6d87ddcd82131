//! The long documents, as modules: read them in this order. Their examples run with the tests.

#[doc = include_str!("docs/architecture.md")]
pub mod architecture {}

#[doc = include_str!("docs/guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("docs/protocol.md")]
pub mod protocol {}

#[doc = include_str!("docs/http.md")]
pub mod http {}

#[doc = include_str!("docs/storage.md")]
pub mod storage {}

#[doc = include_str!("docs/simulation.md")]
pub mod simulation {}

#[doc = include_str!("docs/threats.md")]
pub mod threats {}

#[doc = include_str!("docs/service.md")]
pub mod service {}

#[doc = include_str!("docs/model.md")]
pub mod model {}

#[doc = include_str!("docs/speed.md")]
pub mod speed {}

#[doc = include_str!("docs/measured-node.md")]
pub mod measured_node {}

#[doc = include_str!("docs/measured-chromium.md")]
pub mod measured_chromium {}

#[doc = include_str!("docs/glossary.md")]
pub mod glossary {}
