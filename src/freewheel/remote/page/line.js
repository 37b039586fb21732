// The line to the server: it is connected again when it was lost, and its session goes on.

import { decode, encode } from "./msgpack.js";

const VERSION = 1;

export class Line {
  constructor(token, hear) {
    this.token = token;
    this.hear = hear;  // (kind, message)
    this.welcome = { session: "", server: "", tag: "" };
    this.seen = 0;
    this.told = 0;
    this.calls = new Map();  // by number, what takes the answer
    this.number = 0;
    this.keys = 0;
    this.open();
    setInterval(() => this.tell(), 1000);
  }

  open() {
    const secure = location.protocol === "https:";
    const socket = this.socket = new WebSocket(`${secure ? "wss" : "ws"}://${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.send({
      type: "hello", version: VERSION, token: this.token, program: "page",
      session: this.welcome.session, server: this.welcome.server, seen: this.seen,
    });
    socket.onmessage = (event) => this.take(decode(event.data));
    socket.onclose = () => {
      for (const answer of this.calls.values()) answer({ fault: { text: "The line was lost." } });
      this.calls.clear();
      this.hear("down", null);
      if (!this.over) setTimeout(() => this.open(), 1000);
    };
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(encode(message));
  }

  tell() {
    if (this.told === this.seen) return;
    this.told = this.seen;
    this.send({ type: "seen", number: this.seen });
  }

  take(message) {
    if (message.type === "welcome") {
      this.welcome = message;
      if (!message.resumed) this.seen = message.number ?? 0;
    } else if (message.type === "news") {
      this.seen = message.number;
    } else if (message.type === "answer") {
      this.calls.get(message.id)?.(message);
      this.calls.delete(message.id);
      return;
    } else if (message.type === "bye") {
      this.over = message.fault?.kind === "NotAllowedError";
      this.welcome = { session: "", server: "", tag: "" };
    }
    this.hear(message.type, message);
  }

  // Ask for something; what comes back is the first answer: that it was done, or taken up.
  call(verb, args = {}) {
    if (this.socket.readyState !== WebSocket.OPEN) {
      return Promise.reject(new Error("There is no line to the server."));
    }
    const id = ++this.number;
    return new Promise((done, fail) => {
      this.calls.set(id, ({ value, fault }) => fault ? fail(new Error(fault.text)) : done(value));
      this.send({ type: "call", id, verb, args });
    });
  }

  key() { return `${this.welcome.tag}${++this.keys}`; }
}
