//! Where a node stands: its loopback address, its ports, and which part of the ring is its own.

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::Port;

const TOKENS: u8 = 2;

/// A node's place in its cluster.
#[derive(Debug)]
pub(super) struct Place {
    address: Ipv4Addr,
    /// For clients and between nodes; the drivers expect the same on every node.
    ports: Arc<[Port; 2]>,
    /// None: the node chooses one.
    tokens: Vec<i64>,
}

impl Place {
    /// A cluster of one node.
    pub(super) fn alone(ports: Arc<[Port; 2]>) -> Place {
        Place { address: Ipv4Addr::LOCALHOST, ports, tokens: Vec::new() }
    }

    /// So many nodes with equal parts. They take their tokens in turn, forwards and then backwards: a ring read with
    /// its ranges off by one mixes what different nodes hold, and so shows.
    pub(super) fn ring(nodes: u8, ports: &Arc<[Port; 2]>) -> Vec<Place> {
        let place = |node: u8| {
            let turns = (0..TOKENS).map(|turn| {
                let place = if turn % 2 == 0 { node } else { nodes - 1 - node };
                u64::from(turn) * u64::from(nodes) + u64::from(place) + 1
            });
            let part = u64::MAX / (u64::from(nodes) * u64::from(TOKENS));
            Place {
                address: Ipv4Addr::new(127, 0, 0, node + 1),
                ports: Arc::clone(ports),
                tokens: turns.map(|parts| i64::MIN.wrapping_add_unsigned(part * parts)).collect(),
            }
        };
        (0..nodes).map(place).collect()
    }

    pub(super) fn is_in_ring(&self) -> bool {
        !self.tokens.is_empty()
    }

    pub(super) fn address(&self) -> Ipv4Addr {
        self.address
    }

    pub(super) fn contact_point(&self) -> String {
        format!("{}:{}", self.address, self.client_port())
    }

    pub(super) fn client_port(&self) -> u16 {
        self.ports[0].number()
    }

    pub(super) fn storage_port(&self) -> u16 {
        self.ports[1].number()
    }

    pub(super) fn ports(&self) -> &Arc<[Port; 2]> {
        &self.ports
    }

    pub(super) fn tokens(&self) -> &[i64] {
        &self.tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_a_ring_own_equal_parts_in_another_order_at_the_second_turn() {
        let ports = Arc::new([Port::claim().unwrap(), Port::claim().unwrap()]);
        let ring = Place::ring(3, &ports);
        let mut owners: Vec<(i64, Ipv4Addr)> =
            ring.iter().flat_map(|place| place.tokens.iter().map(|token| (*token, place.address))).collect();
        owners.sort_unstable();
        let last: Vec<u8> = owners.iter().map(|(_, address)| address.octets()[3]).collect();
        assert_eq!(last, [1, 2, 3, 3, 2, 1]);
        let part = i128::from(u64::MAX) / 6;
        for pair in owners.windows(2) {
            assert_eq!(i128::from(pair[1].0) - i128::from(pair[0].0), part);
        }
        assert!(i128::from(i64::MAX) - i128::from(owners[5].0) < 6);
    }
}
