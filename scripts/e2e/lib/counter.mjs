// A contract with everything that clients have to handle: storage, an event, two kinds of revert.
//
//   contract Counter {
//       event Counted(address indexed by, uint256 value);
//       error TooMany(uint256 value, uint256 limit);
//       uint256 public count;
//       function add(uint256 n) external {
//           if (n > 100) revert TooMany(n, 100);
//           require(n != 0, "nothing to add");
//           count += n;
//           emit Counted(msg.sender, count);
//       }
//   }
//
// Compiled with solc 0.8.37, optimised for one run, without metadata.

export const bytecode =
  "0x6080604052348015600f57600080fd5b5061016e8061001f6000396000f3fe608060405234801561001057600080" +
  "fd5b50600436106100365760003560e01c806306661abd1461003b5780631003e2d214610056575b600080fd5b6100" +
  "4460005481565b60405190815260200160405180910390f35b61006961006436600461012e565b61006b565b005b60" +
  "6481111561009c5760405163c3e33c9960e01b815260048101829052606460248201526044015b60405180910390fd" +
  "5b806000036100dd5760405162461bcd60e51b815260206004820152600e60248201526d1b9bdd1a1a5b99c81d1bc8" +
  "18591960921b6044820152606401610093565b806000808282546100ee9190610147565b9091555050600054604051" +
  "90815233907f661fab7f24b9fdb6d088a46b82c477922b83ae7f1de8173a4670c3802fc6f9219060200160405180" +
  "910390a250565b60006020828403121561014057600080fd5b5035919050565b808201808211156101685763" +
  "4e487b7160e01b600052601160045260246000fd5b9291505056";

export const signatures = [
  "event Counted(address indexed by, uint256 value)",
  "error TooMany(uint256 value, uint256 limit)",
  "function count() view returns (uint256)",
  "function add(uint256 n)",
];
