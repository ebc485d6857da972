/*
 *  emergency_stop.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_EMERGENCY_STOP_H
#define PYRAMIDAL_EMERGENCY_STOP_H

#include <atomic>
#include <limits>
#include <mutex>
#include <string>

namespace nest
{

/**
 * Stops a run that cannot go on: a potential becomes absurd, or a count would no longer fit where it is kept.
 *
 * An exception that only one thread throws would leave the other threads waiting for it at the end of the slice, for ever. So with
 * several threads the first cell of each throws when the next slice begins, or the next run.
 */
class EmergencyStop
{
public:
  //! The one of all threads.
  static EmergencyStop&
  get()
  {
    return instance_;
  }

  //! A cell cannot go on after the step that begins at time now (steps). Throws at once if there is one thread.
  void report( long now, size_t node_id, const std::string& message );

  //! Throw if the run has to stop before the step that begins at time now (steps).
  void
  check( const long now ) const
  {
    if ( now >= stop_.load( std::memory_order_relaxed ) )
    {
      throw_();
    }
  }

  //! Called when a run begins: throw if the last one had to stop.
  void begin_run();

private:
  static constexpr long never_ = std::numeric_limits< long >::max();

  [[noreturn]] void throw_() const;

  static EmergencyStop instance_;

  std::atomic< long > stop_ = never_;  //!< time at which all threads throw (steps)
  std::mutex mutex_;                   //!< guards the following
  long time_ = never_;                 //!< of the message (steps)
  size_t node_id_ = 0;                 //!< of the cell that it names
  std::string message_;                //!< of the first cell, whatever the order of the threads
};

}  // namespace nest

#endif
