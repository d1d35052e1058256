import { describeFlights } from "./flights.suite.ts";
import { useSetUp } from "./set-up.ts";

describeFlights(useSetUp("cluster"));
