/*
 *  trial_clock.cpp
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "trial_clock.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "compose.hpp"
#include "exceptions.h"
#include "nest_time.h"

namespace nest
{

namespace
{

//! Read a time in ms into steps, if it is given; infinity is never.
void
read_time( const Dictionary& d, const std::string& model, const std::string& key, const long never, long& steps )
{
  double ms = 0.0;
  if ( not d.update_value( key, ms ) )
  {
    return;
  }
  const double h = Time::get_resolution().get_ms();
  const double exact = ms / h;
  // A decimal number of ms is a binary fraction only to within rounding: that of ms, of h and of their ratio, or, for few steps, 1e-6.
  const double rounding = std::max( 1e-6, 2.0 * std::numeric_limits< double >::epsilon() * exact );
  // As many steps as a double can count; NEST's clock ends before.
  const bool is_countable = exact <= std::ldexp( 1.0, std::numeric_limits< double >::digits );
  if ( not( ms >= 0.0 ) or ( is_countable and std::abs( exact - std::round( exact ) ) > rounding ) )
  {
    throw BadProperty( String::compose(
      "%1: %2 must be a multiple of the resolution, %3 ms, and not negative, got %4 ms", model, key, h, ms ) );
  }
  steps = is_countable ? std::lround( exact ) : never;
}

//! Of TrialClock::Windows, from 1 on.
const std::array< std::string, 3 > window_names = { "taught", "free", "both" };

//! Read in which windows a dendrite learns, if it is given.
void
read_windows( const Dictionary& d, const std::string& model, const std::string& key, TrialClock::Windows& windows )
{
  std::string name;
  if ( not d.update_value( key, name ) )
  {
    return;
  }
  const auto found = std::find( window_names.begin(), window_names.end(), name );
  if ( found == window_names.end() )
  {
    throw BadProperty( String::compose( "%1: %2 must be 'taught', 'free' or 'both', got '%3'", model, key, name ) );
  }
  windows = static_cast< TrialClock::Windows >( found - window_names.begin() + 1 );
}

double
milliseconds( const long steps, const long never )
{
  return steps == never ? std::numeric_limits< double >::infinity() : Time( Time::step( steps ) ).get_ms();
}

}  // namespace

void
TrialClock::get_status( Dictionary& d ) const
{
  d[ "trial_start" ] = milliseconds( start_, never_ );
  d[ "trial_duration" ] = milliseconds( period_, never_ );
  d[ "trial_reset" ] = reset_;
  d[ "stimulus_start" ] = milliseconds( stimulus_start_, never_ );
  d[ "stimulus_duration" ] = milliseconds( stimulus_.stop, never_ );
  d[ "learning" ] = learning_;
  d[ "learning_start" ] = milliseconds( learning_window_.start, never_ );
  d[ "learning_stop" ] = milliseconds( learning_window_.stop, never_ );
  d[ "free_learning_start" ] = milliseconds( free_learning_window_.start, never_ );
  d[ "free_learning_stop" ] = milliseconds( free_learning_window_.stop, never_ );
  d[ "learning_basal" ] = window_names[ basal_ - 1 ];
  d[ "learning_apical" ] = window_names[ apical_ - 1 ];
  d[ "readout_start" ] = milliseconds( readout_.start, never_ );
  d[ "readout_stop" ] = milliseconds( readout_.stop, never_ );
  d[ "nudge_ramp_start" ] = milliseconds( nudge_ramp_start_, never_ );
  d[ "nudge_ramp_duration" ] = milliseconds( nudge_ramp_duration_, never_ );
}

bool
TrialClock::set_status( const Dictionary& d, const std::string& model )
{
  TrialClock changed = *this;
  const auto read = [ & ]( const std::string& key, long& steps ) { read_time( d, model, key, never_, steps ); };
  read( "trial_start", changed.start_ );
  read( "trial_duration", changed.period_ );
  read( "stimulus_start", changed.stimulus_start_ );
  read( "stimulus_duration", changed.stimulus_.stop );
  read( "learning_start", changed.learning_window_.start );
  read( "learning_stop", changed.learning_window_.stop );
  read( "free_learning_start", changed.free_learning_window_.start );
  read( "free_learning_stop", changed.free_learning_window_.stop );
  read_windows( d, model, "learning_basal", changed.basal_ );
  read_windows( d, model, "learning_apical", changed.apical_ );
  read( "readout_start", changed.readout_.start );
  read( "readout_stop", changed.readout_.stop );
  read( "nudge_ramp_start", changed.nudge_ramp_start_ );
  read( "nudge_ramp_duration", changed.nudge_ramp_duration_ );
  d.update_value( "trial_reset", changed.reset_ );
  d.update_value( "learning", changed.learning_ );
  if ( changed.period_ > 0 and changed.readout_.stop > changed.period_ )
  {
    throw BadProperty( String::compose( "%1: readout_stop must not exceed trial_duration, got %2 ms and %3 ms",
      model,
      milliseconds( changed.readout_.stop, never_ ),
      milliseconds( changed.period_, never_ ) ) );
  }
  const std::pair< const char*, Window > windows[] = { { "learning", changed.learning_window_ },
    { "free_learning", changed.free_learning_window_ },
    { "readout", changed.readout_ } };
  for ( const auto& [ name, window ] : windows )
  {
    if ( window.start > window.stop )
    {
      throw BadProperty(
        String::compose( "%1: %2_start must not exceed %2_stop, got %3 ms and %4 ms; set both in one call",
          model,
          name,
          milliseconds( window.start, never_ ),
          milliseconds( window.stop, never_ ) ) );
    }
  }
  const bool moves_readout = changed.start_ != start_ or changed.period_ != period_ or changed.readout_ != readout_;
  *this = changed;
  return moves_readout;
}

void
TrialClock::set_time( const long now )
{
  if ( start_ == never_ or now <= start_ )
  {
    trial_ = -1;
    onset_ = next_onset_ = start_;
  }
  else if ( period_ == 0 )
  {
    trial_ = 0;
    onset_ = start_;
    next_onset_ = never_;
  }
  else
  {
    trial_ = ( now - start_ - 1 ) / period_;  // a trial that begins now has not begun yet
    onset_ = start_ + trial_ * period_;
    next_onset_ = onset_after_( onset_ );
  }
}

}  // namespace nest
