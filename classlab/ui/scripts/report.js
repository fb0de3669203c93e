// A report as a page of the lab: its charts are drawn by the lab's own script.
import {tried} from "/static/frame.js";
import {drawAll} from "/static/chart.js";

tried(() => drawAll(document.body));
