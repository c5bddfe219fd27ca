// The one place that knows where the library lies.
export { html, render, useState, useEffect, useRef, useMemo } from "./vendor/htm-preact.js";
