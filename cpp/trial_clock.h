/*
 *  trial_clock.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_TRIAL_CLOCK_H
#define PYRAMIDAL_TRIAL_CLOCK_H

#include <algorithm>
#include <limits>
#include <string>

#include "dictionary.h"
#include "nest_time.h"

namespace nest
{

/**
 * Course of many samples in one Simulate: every trial_duration ms, counted from trial_start, a new trial begins. Windows are given
 * relative to the onset of the trial; a step belongs to a window if it begins in it.
 *
 * With trial_duration = 0 there is one trial that does not end.
 *
 * A dendrite learns in the window of learning, in that of free_learning, which is meant for the time before a teacher acts, or in both.
 */
class TrialClock
{
public:
  //! Windows in which a dendrite learns.
  enum Windows
  {
    TAUGHT = 1,
    FREE = 2,
    BOTH = TAUGHT | FREE
  };

  void get_status( Dictionary& d ) const;

  /**
   * Throws BadProperty, and changes nothing, if a time is negative or no multiple of the resolution, or if a window ends before it begins.
   *
   * Returns whether a read-out that has begun would mix two windows.
   */
  bool set_status( const Dictionary& d, const std::string& model );

  //! Set the clock so that the next step is the one that begins at time now (steps).
  void set_time( long now );

  //! Go to the step that begins at time now; true if a trial begins that wants a reset.
  bool
  begin_step( const long now )
  {
    if ( now == next_onset_ )
    {
      onset_ = now;
      next_onset_ = onset_after_( now );
      ++trial_;
      return reset_;
    }
    return false;
  }

  //! Time at which the next trial begins, if it wants a reset; else never (steps).
  long
  next_reset() const
  {
    return reset_ ? next_onset_ : never_;
  }

  //! Number of the present trial, -1 before the first.
  long
  trial() const
  {
    return trial_;
  }

  //! Steps since the onset of the trial.
  long
  phase( const long now ) const
  {
    return now - onset_;
  }

  //! Onset of the trial in which a past step lies that began at time t, if anything is learned in it; else -1 (steps).
  long
  learning_trial( const long t ) const
  {
    if ( not learning_ or t < start_ )
    {
      return -1;
    }
    if ( trial_ >= 0 and t >= onset_ )
    {
      return onset_;
    }
    return period_ == 0 ? start_ : start_ + ( t - start_ ) / period_ * period_;
  }

  bool
  stimulates( const long now ) const
  {
    return trial_ >= 0 and stimulus_.contains( phase( now ) - stimulus_start_ );
  }

  //! Whether more than half of the window of learning is over; false if it has no end.
  bool
  is_in_second_half( const long now ) const
  {
    const Window& w = learning_window_;
    return w.stop != never_ and phase( now ) >= w.start + ( w.stop - w.start ) / 2;
  }

  bool
  basal_learns( const long now ) const
  {
    return learns_( now, basal_ );
  }

  bool
  apical_learns( const long now ) const
  {
    return learns_( now, apical_ );
  }

  //! Share of the nudging conductance at the end of the step that begins at time now; rises from 0 to 1 in every trial.
  double
  nudge_ramp( const long now ) const
  {
    return nudge_ramp_duration_ == 0
      ? 1.0
      : std::clamp(
          ( static_cast< double >( phase( now ) + 1 ) - nudge_ramp_start_ ) / nudge_ramp_duration_, 0.0, 1.0 );
  }

  bool
  reads_out( const long now ) const
  {
    return readout_.contains( phase( now ) ) and trial_ >= 0;
  }

  //! Whether the step is the last one of the read-out window.
  bool
  ends_readout( const long now ) const
  {
    return phase( now ) + 1 == readout_.stop;
  }

private:
  static constexpr long never_ = std::numeric_limits< long >::max();

  //! Interval of steps since the onset.
  struct Window
  {
    long start;
    long stop;

    bool operator==( const Window& ) const = default;

    bool
    contains( const long phase ) const
    {
      return start <= phase and phase < stop;
    }
  };

  //! Onset of the trial that follows the one with this onset (steps).
  long
  onset_after_( const long onset ) const
  {
    return 0 < period_ and period_ <= never_ - onset ? onset + period_ : never_;
  }

  bool
  learns_( const long now, const Windows windows ) const
  {
    return learning_ and trial_ >= 0
      and ( ( ( windows & TAUGHT ) and learning_window_.contains( phase( now ) ) )
        or ( ( windows & FREE ) and free_learning_window_.contains( phase( now ) ) ) );
  }

  long start_ = 0;                          //!< onset of the first trial (steps)
  long period_ = 0;                         //!< from onset to onset (steps); 0: a single endless trial
  bool reset_ = false;                      //!< whether everything is at rest at every onset
  bool learning_ = true;                    //!< whether errors are archived at all
  long stimulus_start_ = 0;                 //!< from here a stimulus is shown (steps)
  Window stimulus_ = { 0, never_ };         //!< how long it is, counted from there (steps)
  Window learning_window_ = { 0, never_ };  //!< when errors are archived (steps)
  Window free_learning_window_ = { 0, 0 };  //!< the other window (steps)
  Windows basal_ = TAUGHT;                  //!< in which the basal dendrite learns
  Windows apical_ = TAUGHT;                 //!< in which the apical dendrite learns
  Window readout_ = { 0, 0 };               //!< over which potentials are averaged (steps)
  long nudge_ramp_start_ = 0;               //!< from here the nudging conductance rises (steps)
  long nudge_ramp_duration_ = 0;            //!< how long (steps); 0: it is there from the onset

  long trial_ = -1;      //!< number of the present trial
  long onset_ = 0;       //!< of the present trial (steps)
  long next_onset_ = 0;  //!< of the next trial (steps)
};

}  // namespace nest

#endif
