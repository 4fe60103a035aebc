// An emulated Raspberry Pi Pico with a network interface:
//     emulator.mjs CONTROL LIBRARY BOOTROM FIRMWARE FLASH LAN
// stdin and stdout are the host's end of its USB serial line.
// CONTROL: the number of a file descriptor that takes commands, a line of JSON each, and answers each by one, see
// `commands` below. LIBRARY: the folder that has node_modules/rp2040js. BOOTROM: the chip's boot ROM. FIRMWARE: firmware.bin
// as the rp2 port builds it. FLASH: an image of all of the flash, in which the firmware is then replaced; "": none.
// LAN: the program at the other end of the network, see lan.c.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';

const [controlFile, library, bootrom, firmware, flashFile, lan] = process.argv.slice(2);
const { BasePeripheral, RP2040, USBCDC } = createRequire(`${library}/`)('rp2040js');

const MHZ = 125;
const WAIT_NS = 300_000; // Sleeps of the chip that are shorter are not worth one of this process
const BEHIND_NS = 100_000_000; // By more than this the chip's clock does not catch up
const JOIN_NS = 300_000_000; // What joining a Wi-Fi takes

// --- the flash

// The emulator has no flash chip behind the registers that the boot ROM writes it through: its two functions do it here.
const BREAK = 0xbe00, RETURN = 0x4770; // bkpt n; bx lr
const ERASE = 1, PROGRAM = 2;

function patchedRom() {
  const rom = new Uint8Array(16384);
  rom.set(fs.readFileSync(bootrom));
  const view = new DataView(rom.buffer);
  const codes = { RE: ERASE, RP: PROGRAM };
  // The table of functions: a code of two letters and an address each, until 0
  for (let at = view.getUint16(0x14, true); view.getUint16(at, true); at += 4) {
    const act = codes[String.fromCharCode(rom[at], rom[at + 1])];
    const address = view.getUint16(at + 2, true) & ~1;
    if (act) view.setUint32(address, RETURN << 16 | BREAK | act, true);
  }
  return new Uint32Array(rom.buffer);
}

function flashFunction(chip, number) {
  const [offset, a, b] = chip.core.registers;
  if (number === ERASE) chip.flash.fill(0xff, offset, offset + a);
  else if (number === PROGRAM) for (let i = 0; i < b; i++) chip.flash[offset + i] &= chip.readUint8(a + i);
  else fail(`the firmware stops at a breakpoint, ${number}`);
  chip.core.breakRewind = 0;
}

function fail(why) {
  console.error(`emulator: ${why}`);
  process.exit(1);
}

// --- the network interface: its registers, at 0x60000000, and the line of its interrupt

const STATE = 0; // As cyw43_wifi_link_status: 0 down, 1 joining, 3 joined, below 0 failed
const RX_LENGTH = 4; // Of the next frame; 0: there is none
const RX_ADDRESS = 8; // Written: it goes to this address
const TX_ADDRESS = 12;
const TX_LENGTH = 16; // Written: send so many bytes from there
const JOIN = 20; // Written: 1 join, 0 leave
const LINE = 26;
const RAM = 0x20000000;
const QUEUE = 64; // Frames

const air = {
  joins: 3, // The state that joining leads to
  lose: '', // "in", "out" or "both": frames that vanish
  delay: 0, // ms each way
  frames: { in: 0, out: 0, lost: 0 },
};
let nic;

class Interface extends BasePeripheral {
  constructor(chip) {
    super(chip, 'interface');
    this.state = 0;
    this.received = [];
    this.address = 0;
    this.joining = chip.clock.createAlarm(() => this.become(air.joins));
  }

  become(state) {
    this.state = state;
    this.interrupt();
  }

  interrupt() {
    this.rp2040.setInterrupt(LINE, true);
    wake();
  }

  // Leads a frame on its way past what may become of it; `go` takes it further
  pass(way, go) {
    if (this.state !== 3 || air.lose === way || air.lose === 'both') {
      air.frames.lost++;
    } else {
      air.frames[way]++;
      if (air.delay) setTimeout(go, air.delay);
      else go();
    }
  }

  arrive(frame) {
    this.pass('in', () => {
      if (this.received.length === QUEUE) return;
      this.received.push(frame);
      this.interrupt();
    });
  }

  readUint32(offset) {
    if (offset === STATE) return this.state >>> 0;
    return offset === RX_LENGTH && this.received.length ? this.received[0].length : 0;
  }

  writeUint32(offset, value) {
    const { sram } = this.rp2040;
    if (offset === RX_ADDRESS) {
      sram.set(this.received.shift(), (value >>> 0) - RAM);
    } else if (offset === TX_ADDRESS) {
      this.address = (value >>> 0) - RAM;
    } else if (offset === TX_LENGTH) {
      const frame = Buffer.alloc(2 + value);
      frame.writeUInt16BE(value);
      frame.set(sram.subarray(this.address, this.address + value), 2);
      this.pass('out', () => network.stdin.write(frame));
    } else if (offset === JOIN && value) {
      this.state = 1;
      this.joining.schedule(JOIN_NS);
    } else if (offset === JOIN) {
      this.joining.cancel();
      this.become(0);
    }
  }
}

// The other end takes and gives frames, each after its length in two bytes
const network = spawn(lan, { stdio: ['pipe', 'pipe', 'inherit'] });
network.on('exit', () => fail('the other end of the network has ended'));
network.stdin.on('error', () => {});
let bytes = Buffer.alloc(0);
network.stdout.on('data', (data) => {
  bytes = Buffer.concat([bytes, data]);
  let at = 0;
  while (bytes.length >= at + 2 && bytes.length >= at + 2 + bytes.readUInt16BE(at)) {
    const end = at + 2 + bytes.readUInt16BE(at);
    nic.arrive(bytes.subarray(at + 2, end));
    at = end;
  }
  bytes = bytes.subarray(at);
});

// --- the chip

let chip, usb;
const rom = patchedRom();

// The ring oscillator, for its random bit
class Oscillator extends BasePeripheral {
  readUint32(offset) {
    return offset === 0x1c ? Math.random() < 0.5 : 0x80001000;
  }

  writeUint32() {}
}

// The host's end of the serial line. The library's answers each read by the board with an empty packet after 10 us, on
// which the board reads again: here a read waits until there is something.
class Serial extends USBCDC {
  constructor(controller) {
    super(controller);
    this.pending = [];
    this.wanted = 0; // bytes that the board waits for
    controller.onEndpointRead = (endpoint, size) => {
      if (endpoint !== this.outEndpoint) return;
      this.wanted = size;
      this.flush();
    };
    this.onSerialData = (data) => process.stdout.write(Buffer.from(data));
  }

  send(data) {
    this.pending.push(...data);
    this.flush();
    wake();
  }

  flush() {
    if (!this.wanted || !this.pending.length) return;
    const packet = new Uint8Array(this.pending.splice(0, this.wanted));
    this.wanted = 0;
    this.usb.endpointReadDone(this.outEndpoint, packet);
  }
}

// Power on, or a reset by the watchdog, for `reason`
function boot(image, reason = 0) {
  const before = chip;
  chip = new RP2040();
  const quiet = () => {};
  console.warn = quiet; // registers that are not modelled
  chip.logger = { debug: quiet, info: quiet, warn: quiet, error: (name, message) => console.error(`emulator: ${name}: ${message}`) };
  chip.loadBootrom(rom);
  chip.flash.set(image);
  chip.onBreak = (number) => flashFunction(chip, number);
  const watchdog = chip.peripherals[0x40058];
  watchdog.reason = reason;
  if (before) watchdog.scratchData.set(before.peripherals[0x40058].scratchData);
  watchdog.onWatchdogTrigger = () => {
    watchdog.alarm.enable = false; // else it fires again at this moment, for ever
    resets++;
    boot(chip.flash, watchdog.reason);
  };
  chip.peripherals[0x40060] = new Oscillator(chip, 'ROSC');
  nic = chip.peripherals[0x60000] = new Interface(chip);
  usb = new Serial(chip.usbCtrl);
  // As the boot ROM would start it: the second stage of the boot is in the first 256 bytes
  chip.core.PC = 0x10000000;
}

let resets = 0;
boot(flashFile ? fs.readFileSync(flashFile) : []);
chip.flash.set(fs.readFileSync(firmware));

// --- time: the chip's goes with its cycles while it computes and with this computer's while it sleeps

let begun = performance.now(); // When, by this computer's clock, the chip's was 0
let timer = null;
let computing = 0; // ms
let cycles = 0;

function wake() {
  if (timer === null) return;
  clearTimeout(timer);
  timer = null;
  run();
}

function compute() {
  const started = performance.now();
  const { core, clock } = chip;
  let n = 0;
  for (let i = 0; i < 100_000 && !core.waiting && chip.core === core; i++) {
    const c = core.executeInstruction();
    n += c;
    clock.tick((c * 1000) / MHZ);
  }
  cycles += n;
  computing += performance.now() - started;
}

function run() {
  for (let i = 0; i < 100; i++) {
    if (!chip.core.waiting) {
      compute();
      if (!chip.core.waiting) break;
    }
    const { clock } = chip;
    let late = (performance.now() - begun) * 1e6 - clock.nanos;
    if (late > BEHIND_NS) {
      begun += (late - BEHIND_NS) / 1e6;
      late = BEHIND_NS;
    }
    const next = clock.nextAlarm ? clock.nanosToNextAlarm : 1e9;
    if (next <= late) {
      clock.tick(next);
    } else {
      if (late > 0) clock.tick(late);
      if (next - late > WAIT_NS) {
        timer = setTimeout(wake, (next - late) / 1e6);
        return;
      }
      break;
    }
  }
  setImmediate(run);
}

// --- what is told to it

const commands = {
  // lose "in", "out", "both" or "": frames vanish
  lose: (way) => { air.lose = way; },
  // delay MS: each way
  delay: (ms) => { air.delay = ms; },
  // joins STATE: what joining leads to; 3 joined, -2 no network found, -3 wrong password
  joins: (state) => { air.joins = state; },
  // leave: the connection to the access point is lost
  leave: () => nic.become(0),
  // save FILE: all of the flash
  save: (file) => fs.writeFileSync(file, chip.flash),
  // what it has done: seconds by this computer's clock and the chip's, and seconds it has computed, ...
  state: () => ({ wall: performance.now() / 1000, chip: chip.clock.nanos / 1e9, computing: computing / 1000, mhz: cycles / computing / 1000, resets, ...air.frames }),
};

process.stdin.on('data', (data) => usb.send(data));
process.stdin.on('end', () => process.exit(0));
process.on('exit', () => network.kill());
const control = new net.Socket({ fd: Number(controlFile) });
let text = '';
control.on('data', (data) => {
  const lines = (text + data).split('\n');
  text = lines.pop();
  for (const line of lines) {
    const [name, ...rest] = JSON.parse(line);
    control.write(`${JSON.stringify(commands[name](...rest) ?? null)}\n`);
  }
});
control.on('error', () => process.exit(0));

run();
