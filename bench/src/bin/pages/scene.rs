//! What visitors do, and which variants have such a page.

use crate::variant::{SCRIPT, STATIC, Variant};

/// What all visitors of a slice do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Scene {
    /// The tutorial's page, 64 visitors at once.
    Counted,
    /// The same, 8 at once.
    CountedByFew,
    /// Who is logged in and how often they came, without counting; 64 at once.
    Read,
    /// A page that doesn't ask for the session it is behind; 64 at once.
    Untouched,
    /// 64 at once, each a user of their own.
    Login,
    /// The same ones.
    Logout,
}

impl Scene {
    pub(crate) const ALL: [Self; 6] =
        [Self::Counted, Self::CountedByFew, Self::Read, Self::Untouched, Self::Login, Self::Logout];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Counted => "The counted page, 64 at once",
            Self::CountedByFew => "The counted page, 8 at once",
            Self::Read => "A page that only reads, 64 at once",
            Self::Untouched => "A page that does not ask for its session, 64 at once",
            Self::Login => "Login, 64 at once",
            Self::Logout => "Logout, 64 at once",
        }
    }

    /// The end of the picture's file name.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::CountedByFew => "counted-by-few",
            Self::Read => "read",
            Self::Untouched => "untouched",
            Self::Login => "login",
            Self::Logout => "logout",
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Counted | Self::CountedByFew => "/",
            Self::Read => "/read",
            Self::Untouched => "/untouched",
            Self::Login => "/login",
            Self::Logout => "/logout",
        }
    }

    pub(crate) fn at_once(self) -> usize {
        if self == Self::CountedByFew { 8 } else { 64 }
    }

    /// Whether a variant is measured in it.
    pub(crate) fn has(self, variant: &Variant) -> bool {
        let by_form = matches!(self, Self::Login | Self::Logout);
        match variant.name.as_str() {
            STATIC => !by_form,
            // Everything else it does as the pipeline does.
            SCRIPT => matches!(self, Self::Counted | Self::CountedByFew),
            // The tutorial has no page that only reads.
            "flask" => !matches!(self, Self::Read),
            _ => true,
        }
    }
}
