//! How rows were written -> how many replicas to ask, so that one of them has what was written.

use scylla::statement::Consistency;

use crate::route;

/// The weakest consistency whose reads see every write of these, of rows with copies in so many datacenters.
///
/// `local` is the datacenter of whichever node coordinates, and the driver has no datacenter of its own to prefer: what was
/// written to a quorum of one may be read by way of another. With several, only a quorum of each has all of that.
pub(super) fn that_sees(written: &[route::Consistency], datacenters: usize) -> Consistency {
    use route::Consistency::{All, EachQuorum, LocalOne, LocalQuorum, One, Quorum, Three, Two};
    let any = |some: &[route::Consistency]| written.iter().any(|written| some.contains(written));
    if any(&[One, LocalOne, Two, Three]) {
        // One copy may have it, any one.
        Consistency::All
    } else if any(&[LocalQuorum]) && datacenters > 1 {
        Consistency::EachQuorum
    } else if any(&[Quorum]) {
        Consistency::Quorum
    } else if any(&[LocalQuorum, EachQuorum]) {
        Consistency::LocalQuorum
    } else {
        debug_assert!(written.iter().all(|written| *written == All));
        Consistency::One
    }
}

#[cfg(test)]
mod tests {
    use route::Consistency::{All, EachQuorum, LocalOne, LocalQuorum, One, Quorum, Three, Two};

    use super::*;

    const WRITTEN: [route::Consistency; 8] =
        [One, LocalOne, Two, Three, Quorum, LocalQuorum, EachQuorum, All];

    // Every least set of replicas, as bits, that such a request is content with; `copies` are those of each datacenter.
    fn contents(consistency: Consistency, copies: &[u32]) -> Vec<u32> {
        let all: u32 = copies.iter().sum();
        let quorum = |copies: u32| copies / 2 + 1;
        let is_content = |set: u32| {
            let mut rest = set;
            let of_each: Vec<(u32, u32)> = copies
                .iter()
                .map(|copies| {
                    let here = (rest & ((1 << copies) - 1)).count_ones();
                    rest >>= copies;
                    (here, *copies)
                })
                .collect();
            match consistency {
                Consistency::One => set.count_ones() >= 1,
                Consistency::LocalOne => of_each.iter().any(|(here, _)| *here >= 1),
                Consistency::Two => set.count_ones() >= 2,
                Consistency::Three => set.count_ones() >= 3,
                Consistency::Quorum => set.count_ones() >= quorum(all),
                Consistency::LocalQuorum => of_each.iter().any(|(here, copies)| *here >= quorum(*copies)),
                Consistency::EachQuorum => of_each.iter().all(|(here, copies)| *here >= quorum(*copies)),
                Consistency::All => set.count_ones() == all,
                other => panic!("{other} is not used"),
            }
        };
        (0..1 << all).filter(|set| is_content(*set)).collect()
    }

    fn is_seen(written: route::Consistency, read: Consistency, copies: &[u32]) -> bool {
        let read = contents(read, copies);
        let written = contents(crate::store::consistency(written), copies);
        written.iter().all(|written| read.iter().all(|read| written & read != 0))
    }

    #[test]
    fn every_write_is_seen_wherever_the_copies_are() {
        let rings: [&[u32]; 8] = [&[1], &[2], &[3], &[5], &[1, 1], &[3, 3], &[3, 2], &[1, 2, 3]];
        for copies in rings {
            for one in WRITTEN {
                for other in WRITTEN {
                    let read = that_sees(&[one, other], copies.len());
                    for written in [one, other] {
                        assert!(is_seen(written, read, copies), "{written:?} by {read} of {copies:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_more_replicas_are_asked_than_must_be() {
        let read = |written: &[route::Consistency], datacenters| that_sees(written, datacenters);
        assert_eq!(read(&[LocalQuorum], 1), Consistency::LocalQuorum);
        assert_eq!(read(&[LocalQuorum, Quorum], 1), Consistency::Quorum);
        assert_eq!(read(&[EachQuorum], 2), Consistency::LocalQuorum);
        assert_eq!(read(&[EachQuorum, Quorum], 2), Consistency::Quorum);
        assert_eq!(read(&[LocalQuorum], 2), Consistency::EachQuorum);
        assert_eq!(read(&[All], 2), Consistency::One);
        assert_eq!(read(&[One, Quorum], 1), Consistency::All);
        // The model does tell: this is how it was before.
        assert!(!is_seen(LocalQuorum, Consistency::LocalQuorum, &[3, 3]));
        assert!(!is_seen(LocalQuorum, Consistency::Quorum, &[3, 3]));
        assert!(!is_seen(One, Consistency::Quorum, &[3]));
    }
}
