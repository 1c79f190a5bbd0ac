// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Gwei} from "../types/Types.sol";

/// @title Seats at one price (R3)
/// @notice Seats are awarded one at a time to the operator with the highest quotient `x / (k + 1)`, rounded down
/// to a gwei, that is at least `min`: x its stake, k its seats so far. An operator has no more seats than keys,
/// a set no more than `max`, and ties go to the lower operator. The last quotient awarded is the price `P`.
///
/// An operator has `⌊x / P⌋` quotients of `P` and more. So a claimed price and claimed seats are checked in one
/// pass: above `P` everything is awarded, at `P` the lower operators are served first, until there are enough.
library Divisor {
    /// @notice The price is not that of the rule, for this number of seats.
    error WrongPrice(uint256 price, uint256 seats, uint256 above, uint256 atLeast);
    /// @notice The rule gives another number of seats.
    error WrongSeatTotal(uint256 got, uint256 want);
    /// @notice The rule gives this operator another number of seats. Operators are counted from 0.
    error WrongSeatShare(uint256 operator, uint256 got, uint256 want);

    /// @notice Reverts unless `seats` are what the rule gives, at price `price`.
    /// @param stakes Of each operator, in gwei, ascending by operator.
    /// @param keys Most seats that each can have.
    function check(
        uint256[] memory stakes,
        uint256[] memory keys,
        uint256[] memory seats,
        uint256 price,
        uint256 min,
        uint256 max
    ) internal pure {
        (uint256 eligible, uint256 above, uint256 atLeast, uint256 total) = (0, 0, 0, 0);
        for (uint256 i = 0; i < stakes.length; ++i) {
            eligible += _quotients(stakes[i], keys[i], min);
            above += _quotients(stakes[i], keys[i], price + 1);
            atLeast += _quotients(stakes[i], keys[i], price == 0 ? 1 : price);
            total += seats[i];
        }
        uint256 want = eligible < max ? eligible : max;
        require(total == want, WrongSeatTotal(total, want));
        require(price >= min && above < total && total <= atLeast, WrongPrice(price, total, above, atLeast));
        uint256 left = total - above;
        for (uint256 i = 0; i < stakes.length; ++i) {
            uint256 sure = _quotients(stakes[i], keys[i], price + 1);
            uint256 tied = _quotients(stakes[i], keys[i], price) - sure;
            if (tied > left) tied = left;
            left -= tied;
            require(seats[i] == sure + tied, WrongSeatShare(i, seats[i], sure + tied));
        }
    }

    /// @notice What the rule gives. For callers off chain: some 64 passes.
    function allocate(uint256[] memory stakes, uint256[] memory keys, uint256 min, uint256 max)
        internal
        pure
        returns (uint256 price, uint256[] memory seats)
    {
        seats = new uint256[](stakes.length);
        uint256 total = _count(stakes, keys, min);
        if (total > max) total = max;
        if (total == 0) return (0, seats);
        // The highest price at which there are still enough quotients.
        uint256 high = type(uint64).max;
        price = min;
        while (price < high) {
            uint256 middle = price + (high - price + 1) / 2;
            if (_count(stakes, keys, middle) >= total) price = middle;
            else high = middle - 1;
        }
        uint256 left = total - _count(stakes, keys, price + 1);
        for (uint256 i = 0; i < stakes.length; ++i) {
            uint256 sure = _quotients(stakes[i], keys[i], price + 1);
            uint256 tied = _quotients(stakes[i], keys[i], price) - sure;
            if (tied > left) tied = left;
            left -= tied;
            seats[i] = sure + tied;
        }
    }

    function _count(uint256[] memory stakes, uint256[] memory keys, uint256 price)
        private
        pure
        returns (uint256 sum)
    {
        for (uint256 i = 0; i < stakes.length; ++i) {
            sum += _quotients(stakes[i], keys[i], price);
        }
    }

    /// @dev How many of the first `keys` quotients of a stake are at least `price`.
    function _quotients(uint256 stake, uint256 keys, uint256 price) private pure returns (uint256) {
        uint256 count = stake / price;
        return count < keys ? count : keys;
    }
}
